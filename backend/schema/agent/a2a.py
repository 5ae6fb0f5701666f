"""Agent2Agent on the wire, in both dialects: protocol 0.3 and 1.0 (https://a2a-protocol.org).

They have the same things with other names: what a method is called says which one is spoken. In 1.0 the JSON is that of
protocol buffers, so states and roles are the names of enumerations and an object says by its key what it is.
"""

import binascii
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from backend.dto.a2a import (
    A2AMessage,
    Artifact,
    DataPart,
    FilePart,
    Part,
    StatusUpdate,
    Task,
    TaskEvent,
    TaskId,
    TaskState,
    TaskStatus,
    TextPart,
)

Dialect = Literal["0.3", "1.0"]
Action = Literal["send", "stream", "get", "cancel", "list", "subscribe", "card", "push"]

METHODS: Final[dict[str, tuple[Action, Dialect]]] = {
    "message/send": ("send", "0.3"),
    "message/stream": ("stream", "0.3"),
    "tasks/get": ("get", "0.3"),
    "tasks/cancel": ("cancel", "0.3"),
    "tasks/resubscribe": ("subscribe", "0.3"),
    "tasks/pushNotificationConfig/set": ("push", "0.3"),
    "tasks/pushNotificationConfig/get": ("push", "0.3"),
    "tasks/pushNotificationConfig/list": ("push", "0.3"),
    "tasks/pushNotificationConfig/delete": ("push", "0.3"),
    "agent/getAuthenticatedExtendedCard": ("card", "0.3"),
    "SendMessage": ("send", "1.0"),
    "SendStreamingMessage": ("stream", "1.0"),
    "GetTask": ("get", "1.0"),
    "CancelTask": ("cancel", "1.0"),
    "ListTasks": ("list", "1.0"),
    "SubscribeToTask": ("subscribe", "1.0"),
    "CreateTaskPushNotificationConfig": ("push", "1.0"),
    "GetTaskPushNotificationConfig": ("push", "1.0"),
    "ListTaskPushNotificationConfigs": ("push", "1.0"),
    "DeleteTaskPushNotificationConfig": ("push", "1.0"),
    "GetExtendedAgentCard": ("card", "1.0"),
}
SCOPE_EXTENSION: Final = "https://langchain.com/a2a/extensions/history-scope/v1"
SCOPE_HEADER: Final = "LangGraph-A2A-History-Scope"
MAX_PARTS: Final = 100
MAX_PAGE: Final = 100

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_STATES: Final[dict[TaskState, str]] = {
    "submitted": "TASK_STATE_SUBMITTED",
    "working": "TASK_STATE_WORKING",
    "input-required": "TASK_STATE_INPUT_REQUIRED",
    "completed": "TASK_STATE_COMPLETED",
    "canceled": "TASK_STATE_CANCELED",
    "failed": "TASK_STATE_FAILED",
}
_BY_NAME: Final[dict[str, TaskState]] = {name: state for state, name in _STATES.items()}


class UnsupportedContent(Exception):
    """A part is neither text nor data nor a file."""


class _Params(BaseModel):
    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, validate_by_name=False)


class FileBody(_Params):
    """A file of 0.3."""

    base64: str | None = Field(None, alias="bytes")
    uri: str | None = None
    mime_type: Name | None = None
    name: Name | None = None


class PartBody(_Params):
    """A part of either dialect."""

    kind: str | None = None
    text: str | None = None
    data: Any = None
    file: FileBody | None = None
    raw: str | None = None
    url: str | None = None
    media_type: Name | None = None
    filename: Name | None = None

    def part(self) -> Part:
        """Return what it says.

        Raises:
            UnsupportedContent: it says none of what there is.
        """
        if self.kind in {None, "text"} and self.text is not None:
            return TextPart(self.text)
        if self.kind in {None, "data"} and self.data is not None:
            if not isinstance(self.data, dict):
                raise UnsupportedContent("The data of a part are an object.")
            return DataPart(self.data)
        if self.kind in {None, "file"}:
            file = self.file or FileBody.model_validate({"bytes": self.raw, "uri": self.url})
            if file.base64 is not None:
                _check_base64(file.base64)
            if (file.base64 is None) != (file.uri is None):
                return FilePart(file.base64, file.uri, file.mime_type or self.media_type, file.name or self.filename)
        raise UnsupportedContent("A part is text, data, or a file: its bytes or its address.")


class MessageBody(_Params):
    role: Literal["user", "agent", "ROLE_USER", "ROLE_AGENT"]
    message_id: Name
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=MAX_PARTS)]
    context_id: str | None = None
    task_id: str | None = None


class Configuration(_Params):
    blocking: bool | None = None
    return_immediately: bool = False
    history_length: Annotated[int, Field(ge=0, le=10_000)] | None = None
    push_notification_config: Any = None
    task_push_notification_config: Any = None


class SendParams(_Params):
    """`message/send`, `message/stream`, `SendMessage`, `SendStreamingMessage`."""

    message: MessageBody
    configuration: Configuration = Field(default_factory=Configuration)
    metadata: dict[str, Any] | None = None

    def said(self, task_id: TaskId | None) -> A2AMessage:
        """Return the message.

        Raises:
            UnsupportedContent: a part is of no known kind.
        """
        body = self.message
        parts = tuple(part.part() for part in body.parts)
        return A2AMessage(body.message_id, body.role in {"user", "ROLE_USER"}, parts, task_id)

    @property
    def waits(self) -> bool:
        """Whether the answer is the task as it ends."""
        return self.configuration.blocking is not False and not self.configuration.return_immediately

    @property
    def pushes(self) -> bool:
        """Whether the caller wants to be called."""
        found = self.configuration
        return bool(found.push_notification_config or found.task_push_notification_config)


class TaskParams(_Params):
    """`tasks/get`, `tasks/cancel`, `GetTask`, `CancelTask`, `SubscribeToTask`."""

    id: str
    context_id: str | None = None
    history_length: Annotated[int, Field(ge=0, le=10_000)] | None = None


class ListParams(_Params):
    """`ListTasks`."""

    context_id: UUID | None = None
    status: str | None = None
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    page_token: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,6}$")] = ""
    history_length: Annotated[int, Field(ge=0, le=10_000)] | None = None
    status_timestamp_after: AwareDatetime | None = None
    include_artifacts: bool = False

    @property
    def state(self) -> TaskState | None:
        """The state that is asked for.

        Raises:
            ValueError: there is no such state.
        """
        if self.status in {None, "", "TASK_STATE_UNSPECIFIED"}:
            return None
        if self.status not in _BY_NAME:
            raise ValueError(f"status is one of {', '.join(_BY_NAME)}.")
        return _BY_NAME[self.status]


def told(error: ValidationError) -> str:
    """Return in one line what is wrong with the parameters."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:100]
    return f"Invalid params: {place}: {first['msg']}."


@dataclass(frozen=True, slots=True)
class Wire:
    """What is told, in one dialect."""

    dialect: Dialect

    def task(self, task: Task, *, history_length: int | None = None, artifacts: bool = True) -> dict[str, Any]:
        """Return a task; its history is left out where none of it is asked for."""
        shown: dict[str, Any] = {
            "id": str(task.task_id),
            "contextId": str(task.task_id.thread_id),
            "status": self._status(task.status, task.task_id),
        }
        if history_length != 0:
            history = task.history if history_length is None else task.history[-history_length:]
            shown["history"] = [self._message(message, task.task_id) for message in history]
        if artifacts and task.artifacts:
            shown["artifacts"] = [self._artifact(artifact) for artifact in task.artifacts]
        return {"kind": "task", **shown} if self.dialect == "0.3" else shown

    def sent(self, task: Task, *, history_length: int | None = None) -> dict[str, Any]:
        """Return the answer to a message."""
        shown = self.task(task, history_length=history_length)
        return shown if self.dialect == "0.3" else {"task": shown}

    def event(self, event: TaskEvent) -> dict[str, Any]:
        """Return one part of a stream."""
        if isinstance(event, Task):
            return self.sent(event)
        ids = {"taskId": str(event.task_id), "contextId": str(event.task_id.thread_id)}
        if isinstance(event, StatusUpdate):
            status = {**ids, "status": self._status(event.status, event.task_id)}
            if self.dialect == "1.0":
                return {"statusUpdate": status}
            return {**status, "kind": "status-update", "final": event.final}
        artifact = {**ids, "artifact": self._artifact(event.artifact), "append": False, "lastChunk": True}
        return {"artifactUpdate": artifact} if self.dialect == "1.0" else {**artifact, "kind": "artifact-update"}

    def _status(self, status: TaskStatus, task_id: TaskId) -> dict[str, Any]:
        state = status.state if self.dialect == "0.3" else _STATES[status.state]
        shown: dict[str, Any] = {"state": state, "timestamp": _moment(status.at)}
        return shown if status.said is None else {**shown, "message": self._message(status.said, task_id)}

    def _message(self, message: A2AMessage, task_id: TaskId) -> dict[str, Any]:
        user, agent = ("user", "agent") if self.dialect == "0.3" else ("ROLE_USER", "ROLE_AGENT")
        shown: dict[str, Any] = {
            "role": user if message.by_user else agent,
            "parts": [self._part(part) for part in message.parts],
            "messageId": message.message_id,
            "contextId": str(task_id.thread_id),
        }
        if message.task_id is not None:
            shown["taskId"] = str(message.task_id)
        return {"kind": "message", **shown} if self.dialect == "0.3" else shown

    def _artifact(self, artifact: Artifact) -> dict[str, Any]:
        return {
            "artifactId": artifact.artifact_id,
            "name": artifact.name,
            "description": artifact.description,
            "parts": [self._part(part) for part in artifact.parts],
        }

    def _part(self, part: Part) -> dict[str, Any]:
        old = self.dialect == "0.3"
        if isinstance(part, TextPart):
            return {"kind": "text", "text": part.text} if old else {"text": part.text}
        if isinstance(part, DataPart):
            return {"kind": "data", "data": part.data} if old else {"data": part.data}
        if old:
            file = {"bytes": part.base64, "uri": part.url, "mimeType": part.media_type, "name": part.name}
            return {"kind": "file", "file": _given(file)}
        return _given({"raw": part.base64, "url": part.url, "mediaType": part.media_type, "filename": part.name})


def card_wire(
    *, assistant_id: UUID, name: str, description: str | None, url: str, version: str, fields: dict[str, bool]
) -> dict[str, Any]:
    """Return an agent card that clients of both dialects read; `fields` are the graph's, and which it requires."""
    about = description or f"{name} assistant"
    modes = ["application/json", "text/plain"]
    return {
        "name": name,
        "description": about,
        "version": version,
        "protocolVersion": "0.3.0",
        "url": url,
        "preferredTransport": "JSONRPC",
        "supportedInterfaces": [
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "stateTransitionHistory": False,
            "extensions": [
                {
                    "uri": SCOPE_EXTENSION,
                    "description": "Choose task-only or full-context response history",
                    "required": False,
                    "params": {
                        "header": SCOPE_HEADER,
                        "values": ["context", "task"],
                        "default": "context",
                        "methods": ["SendMessage", "GetTask", "ListTasks"],
                    },
                }
            ],
        },
        "defaultInputModes": modes,
        "defaultOutputModes": modes,
        "skills": [
            {
                "id": f"{assistant_id}-main",
                "name": f"{name} Capabilities",
                "description": about,
                "tags": ["assistant", "langgraph"],
                "examples": [],
                "inputModes": modes,
                "outputModes": modes,
                "metadata": {
                    "inputSchema": {
                        "required": [field for field, required in fields.items() if required],
                        "properties": sorted(fields),
                        "supportsA2A": "messages" in fields,
                    }
                },
            }
        ],
    }


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _moment(at: datetime) -> str:
    return at.isoformat()


def _check_base64(text: str) -> None:
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnsupportedContent("The bytes of a file are base64.") from None
