"""The whole vocabulary of expected failures.

An expected failure is a `DomainError`; anything else is a bug and stays an ordinary exception. `api/problem.py` is the
one place where one of these becomes an RFC 9457 problem document.

    DomainError
    ├── Invalid          422   the request can be understood but not honoured
    │   ├── InvalidId, InvalidCursor, InvalidFile, InvalidGraph, InvalidSlot, UnsupportedModel, TargetRefused
    ├── BadRequest       400   it contradicts itself or the graph (Agent Server API alone)
    │   └── KeyRefused
    ├── Unauthorized     401   nobody, or somebody we do not know
    ├── Forbidden        403   somebody we know, who may not
    ├── Refused          4xx   by a project's own authentication
    ├── NotFound         404   not there, or another tenant's
    │   ├── ThreadNotFound, RunNotFound, AgentNotFound, AssistantNotFound, CronNotFound, CheckpointNotFound,
    │   │   DocumentNotFound, PassageNotFound, JobNotFound, TenantNotFound, UserNotFound, ApiKeyNotFound,
    │   │   InstallationNotFound, TicketNotFound, ArticleNotFound, AttachmentNotFound, FileNotFound, FeedbackNotFound,
    │   │   EntityNotFound
    ├── Conflict         409   the state does not allow it
    │   ├── ThreadBusy, ThreadExists, AssistantExists, RunEnded, NotInterrupted, IdempotencyConflict, Fenced,
    │   │   LockLost, IndexMismatch, ThreadClaimed, VersionConflict, AlreadyThere, SyncActive
    ├── Gone             410   it was there; its events are no longer kept
    ├── TooLarge         413
    ├── TooMany          429   with the seconds after which to try again
    │   └── BudgetExceeded
    ├── UpstreamFailed   502   a model or a service answered badly
    ├── Unavailable      503   a part of ours is not ready
    └── UpstreamTimeout  504
        └── RunTimeout
"""

from datetime import datetime
from typing import Any, ClassVar

MAX_DETAIL = 5000
"""Most characters of what is told of a failure."""


class DomainError(Exception):
    """An expected failure: `detail` is for the person who asked, `members` are machine-readable extras."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"

    def __init__(self, detail: str, **members: Any) -> None:
        if len(detail) > MAX_DETAIL:  # it quotes what was sent
            detail = f"{detail[:MAX_DETAIL]}…"
        super().__init__(detail)
        self.detail = detail
        self.members = members


class Invalid(DomainError):
    status, slug, title = 422, "invalid", "The request cannot be honoured"


class InvalidId(Invalid):
    slug, title = "invalid-id", "Not an id"


class InvalidCursor(Invalid):
    slug, title = "invalid-cursor", "Not an event id of this stream"


class InvalidFile(Invalid):
    slug, title = "invalid-file", "The file cannot be read"


class InvalidGraph(Invalid):
    slug, title = "invalid-graph", "The graph cannot be built"


class InvalidSlot(InvalidGraph):
    slug, title = "invalid-slot", "The added node has no place"


class UnsupportedModel(Invalid):
    slug, title = "unsupported-model", "No such model is configured"


class TargetRefused(Invalid):
    slug, title = "target-refused", "The server may not call this address"


class BadRequest(DomainError):
    """What the Agent Server API answers with 400: the request is well-formed, and contradicts itself or the graph."""

    status, slug, title = 400, "bad-request", "The request cannot be understood"


class KeyRefused(BadRequest):
    """What was sent to install a platform is refused there; the caller's own credentials are in order."""

    slug, title = "key-refused", "The platform refuses the API key"


class Unauthorized(DomainError):
    status, slug, title = 401, "unauthorized", "Authentication is needed"


class Forbidden(DomainError):
    status, slug, title = 403, "forbidden", "Not allowed"


class Refused(DomainError):
    """What a project's own authentication or authorization refused, with the status that it chose."""

    status, slug, title = 403, "refused", "Refused by the project"

    def __init__(self, detail: str, status: int, headers: dict[str, str]) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]  # the handler chooses, the class only by default
        self.headers = headers


class NotFound(DomainError):
    status, slug, title = 404, "not-found", "Not found"


class ThreadNotFound(NotFound):
    slug, title = "thread-not-found", "No such thread"

    def __init__(self, thread_id: object) -> None:
        super().__init__(f"Thread {thread_id} does not exist.", thread_id=str(thread_id))


class RunNotFound(NotFound):
    slug, title = "run-not-found", "No such run"

    def __init__(self, run_id: object) -> None:
        super().__init__(f"Run {run_id} does not exist.", run_id=str(run_id))


class AgentNotFound(NotFound):
    slug, title = "agent-not-found", "No such agent"

    def __init__(self, name: str, known: list[str]) -> None:
        name = name[:100]  # it may be anything
        super().__init__(f"There is no agent {name!r}. There are: {', '.join(known)}.", agent=name)


class AssistantNotFound(NotFound):
    slug, title = "assistant-not-found", "No such assistant"

    def __init__(self, assistant_id: object) -> None:
        super().__init__(f"Assistant {assistant_id} does not exist.", assistant_id=str(assistant_id))


class CronNotFound(NotFound):
    slug, title = "cron-not-found", "No such cron"

    def __init__(self, cron_id: object) -> None:
        super().__init__(f"Cron {cron_id} does not exist.", cron_id=str(cron_id))


class CheckpointNotFound(NotFound):
    slug, title = "checkpoint-not-found", "No such checkpoint"

    def __init__(self, checkpoint_id: object) -> None:
        super().__init__(f"Checkpoint {checkpoint_id} does not exist.", checkpoint_id=str(checkpoint_id))


class DocumentNotFound(NotFound):
    slug, title = "document-not-found", "No such document"

    def __init__(self, document_id: object) -> None:
        super().__init__(f"Document {document_id} does not exist.", document_id=str(document_id))


class PassageNotFound(NotFound):
    slug, title = "passage-not-found", "No such passage"

    def __init__(self, passage_id: object) -> None:
        super().__init__(f"Passage {passage_id} does not exist.", passage_id=str(passage_id))


class JobNotFound(NotFound):
    slug, title = "job-not-found", "No such job"

    def __init__(self, job_id: object) -> None:
        super().__init__(f"Job {job_id} does not exist.", job_id=str(job_id))


class TenantNotFound(NotFound):
    slug, title = "tenant-not-found", "No such tenant"

    def __init__(self, tenant_id: object) -> None:
        super().__init__(f"Tenant {tenant_id} does not exist.", tenant_id=str(tenant_id))


class UserNotFound(NotFound):
    slug, title = "user-not-found", "No such user"

    def __init__(self, user_id: object) -> None:
        super().__init__(f"User {user_id} does not exist.", user_id=str(user_id))


class ApiKeyNotFound(NotFound):
    slug, title = "api-key-not-found", "No such API key"

    def __init__(self, key_id: object) -> None:
        super().__init__(f"API key {key_id} does not exist.", key_id=str(key_id))


class InstallationNotFound(NotFound):
    slug, title = "installation-not-found", "No such installation"

    def __init__(self, platform: object) -> None:
        super().__init__(f"The installation of {platform} does not exist.", platform=str(platform))


class TicketNotFound(NotFound):
    slug, title = "ticket-not-found", "No such ticket"

    def __init__(self, ticket_id: object) -> None:
        super().__init__(f"Ticket {ticket_id} does not exist.", ticket_id=str(ticket_id))


class ArticleNotFound(NotFound):
    slug, title = "article-not-found", "No such article"

    def __init__(self, article_id: object) -> None:
        super().__init__(f"Article {article_id} does not exist.", article_id=str(article_id))


class AttachmentNotFound(NotFound):
    slug, title = "attachment-not-found", "No such attachment"

    def __init__(self, attachment_id: object) -> None:
        super().__init__(f"Attachment {attachment_id} does not exist.", attachment_id=str(attachment_id))


class FileNotFound(NotFound):
    slug, title = "file-not-found", "No such file"

    def __init__(self, key: object) -> None:
        super().__init__(f"File {key} does not exist.", key=str(key))


class EntityNotFound(NotFound):
    slug, title = "entity-not-found", "No such entity"

    def __init__(self, label: str, key: str) -> None:
        super().__init__(f"There is no {label} {key!r} in the knowledge graph.", label=label, key=key)


class FeedbackNotFound(NotFound):
    slug, title = "feedback-not-found", "No such feedback"

    def __init__(self, feedback_id: object) -> None:
        super().__init__(f"Feedback {feedback_id} does not exist.", feedback_id=str(feedback_id))


class Conflict(DomainError):
    status, slug, title = 409, "conflict", "The state does not allow it"


class ThreadBusy(Conflict):
    slug, title = "thread-busy", "The thread has an active run"

    def __init__(self, thread_id: object) -> None:
        super().__init__(f"Thread {thread_id} already has an active run.", thread_id=str(thread_id))


class ThreadClaimed(Conflict):
    slug, title = "thread-claimed", "A person has taken over the thread"

    def __init__(self, thread_id: object, user_id: str, until: datetime) -> None:
        super().__init__(
            f"Thread {thread_id} was taken over by {user_id}; no agent answers on it until it is released.",
            thread_id=str(thread_id),
            user_id=user_id,
            until=until.isoformat(),
        )


class VersionConflict(Conflict):
    slug, title = "version-conflict", "Somebody else changed it"

    def __init__(self, what: str, version: int) -> None:
        super().__init__(f"{what} was changed meanwhile; it is at version {version}.", version=version)


class AlreadyThere(Conflict):
    slug, title = "already-there", "There is one already"


class SyncActive(Conflict):
    slug, title = "sync-active", "A collection is under way"

    def __init__(self, job_id: object) -> None:
        super().__init__(f"Job {job_id} is collecting already.", job_id=str(job_id))


class ThreadExists(Conflict):
    slug, title = "thread-exists", "The thread exists"

    def __init__(self, thread_id: object) -> None:
        super().__init__(f"Thread {thread_id} already exists.", thread_id=str(thread_id))


class RunEnded(Conflict):
    slug, title = "run-ended", "The run has ended"

    def __init__(self, run_id: object, status: str) -> None:
        super().__init__(f"Run {run_id} has ended ({status}).", run_id=str(run_id), run_status=status)


class AssistantExists(Conflict):
    slug, title = "assistant-exists", "The assistant exists"

    def __init__(self, assistant_id: object) -> None:
        super().__init__(f"Assistant {assistant_id} already exists.", assistant_id=str(assistant_id))


class NotInterrupted(Conflict):
    slug, title = "not-interrupted", "Nothing waits for an answer"

    def __init__(self, thread_id: object) -> None:
        super().__init__(f"Thread {thread_id} is not waiting for an answer.", thread_id=str(thread_id))


class IdempotencyConflict(Conflict):
    slug, title = "idempotency-conflict", "The idempotency key was used with another body"

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key {key!r} was used with another body.")


class Fenced(Conflict):
    """This attempt of a run is no longer the current one: whatever it still wants to write is refused."""

    slug, title = "fenced", "Another attempt of the run has taken over"

    def __init__(self, run_id: object, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of run {run_id} is no longer the current one.", run_id=str(run_id))


class LockLost(Conflict):
    """A lock ran out while its holder was at work: the work was stopped, since another may hold it now."""

    slug, title = "lock-lost", "The lock was lost"

    def __init__(self, name: str) -> None:
        super().__init__(f"The lock {name!r} was lost before the work under it was done.")


class IndexMismatch(Conflict):
    slug, title = "index-mismatch", "The index was built with another embedding model"


class Gone(DomainError):
    status, slug, title = 410, "gone", "No longer kept"


class TooLarge(DomainError):
    status, slug, title = 413, "too-large", "Too large"


class TooMany(DomainError):
    status, slug, title = 429, "too-many", "Too many requests"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.retry_after = retry_after


class BudgetExceeded(TooMany):
    slug, title = "budget-exceeded", "The day's budget is used up"


class UpstreamFailed(DomainError):
    status, slug, title = 502, "upstream-failed", "A service behind this one failed"


class Unavailable(DomainError):
    status, slug, title = 503, "unavailable", "Not ready"


class UpstreamTimeout(DomainError):
    status, slug, title = 504, "upstream-timeout", "A service behind this one was too slow"


class RunTimeout(UpstreamTimeout):
    slug, title = "run-timeout", "The run did not end in its time"

    def __init__(self, run_id: object) -> None:
        super().__init__(f"Run {run_id} was stopped at its time limit.", run_id=str(run_id))
