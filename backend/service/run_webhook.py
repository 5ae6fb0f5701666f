"""What a webhook is told of the end of a run."""

from datetime import datetime

import orjson
from sqlalchemy import Connection

from backend.core.run.executor import Outcome
from backend.dto.run import Run
from backend.service.run_wire import run_wire
from backend.service.webhook import WebhookService, webhook_payload


class RunWebhook:
    def __init__(self, webhooks: WebhookService) -> None:
        self._webhooks = webhooks

    def tell_in(self, connection: Connection, run: Run, outcome: Outcome, status: str, now: datetime) -> None:
        """Queue the message in the transaction that ends the run; nothing when the run has no webhook."""
        if run.request.webhook is None:
            return
        payload = webhook_payload(
            run_wire(run),
            status=status,
            started_at=run.updated_at,  # when the attempt began
            ended_at=now,
            values=None if outcome.values is None else orjson.Fragment(outcome.values),
            error=outcome.error,
        )
        self._webhooks.enqueue_in(connection, run.tenant_id, run.run_id, run.request.webhook, payload)

    def wake(self, run: Run) -> None:
        """The transaction is committed: send."""
        if run.request.webhook is not None:
            self._webhooks.wake()
