"""The routes below `/api/v2`, for one account: what is asked for, what is refused and how."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.simulator.freshdesk.account import LANGUAGES, Account
from backend.simulator.freshdesk.ask import (
    DENIED,
    WRITABLE,
    Page,
    Refused,
    answer,
    body_of,
    changes_in,
    choice_of,
    in_scope,
    includes_of,
    invalid,
    language_of,
    moment_in,
    number_of,
    page_of,
    require_admin,
    text_in,
)
from backend.simulator.freshdesk.blank import stamp
from backend.simulator.freshdesk.search import BadQuery, parse_query
from backend.simulator.freshdesk.view import (
    LIST_INCLUDES,
    SINGLE_INCLUDES,
    article,
    conversation,
    ticket_item,
    translated,
    whole_ticket,
)

Json = dict[str, Any]
Sign = Callable[[Json, str], Json]
"""Gives an attachment a link that works for a while, below an origin."""
LAST_PAGE = 300
SEARCH_PAGE, SEARCH_PAGES = 30, 10
DAYS_WITHOUT_SINCE = 30
_BEYOND = "You cannot access tickets beyond the 300th page. Please provide a smaller page number."
_ORDERS = ("created_at", "due_by", "updated_at", "status")
_FILTERS = ("new_and_my_open", "watching", "spam", "deleted")
_TICKET_PARAMETERS = frozenset(
    "page per_page updated_since order_by order_type filter include requester_id email company_id".split()
)


class FreshdeskApi:
    """Answers the requests that passed the door; `request.state` knows the agent and the address that was asked."""

    def __init__(self, account: Account, sign: Sign, *, clock: Callable[[], datetime], search_lag: timedelta) -> None:
        """Take what is answered from, how attachments are signed, and how far the search lags behind."""
        self._account = account
        self._sign = sign
        self._clock = clock
        self._search_lag = search_lag
        get, post, put, delete = ["GET"], ["POST"], ["PUT"], ["DELETE"]
        self._routes = [
            ("/tickets", get, self.list_tickets),
            ("/tickets", post, self.create_ticket),
            ("/tickets/bulk_update", post, self.bulk_update),
            ("/tickets/{id:int}", get, self.get_ticket),
            ("/tickets/{id:int}", put, self.update_ticket),
            ("/tickets/{id:int}", delete, self.delete_ticket),
            ("/tickets/{id:int}/restore", put, self.restore_ticket),
            ("/tickets/{id:int}/conversations", get, self.list_conversations),
            ("/tickets/{id:int}/notes", post, self.add_note),
            ("/tickets/{id:int}/reply", post, self.add_reply),
            ("/search/tickets", get, self.search_tickets),
            ("/ticket_fields", get, self.list_ticket_fields),
            ("/agents", get, self.list_agents),
            ("/agents/me", get, self.me),
            ("/agents/{id:int}", get, self.get_of("agents")),
            ("/contacts", get, self.list_contacts),
            ("/contacts/{id:int}", get, self.get_of("contacts")),
            ("/companies", get, self.list_of("companies")),
            ("/companies/{id:int}", get, self.get_of("companies")),
            ("/groups", get, self.list_groups),
            ("/groups/{id:int}", get, self.get_of("groups")),
            ("/settings/helpdesk", get, self.helpdesk_settings),
            *self._translated("/solutions/categories", self.list_categories),
            *self._translated("/solutions/categories/{id:int}", self.get_translated("categories")),
            *self._translated("/solutions/categories/{id:int}/folders", self.list_folders),
            *self._translated("/solutions/folders/{id:int}", self.get_translated("folders")),
            *self._translated("/solutions/folders/{id:int}/subfolders", self.list_subfolders),
            *self._translated("/solutions/folders/{id:int}/articles", self.list_articles),
            *self._translated("/solutions/articles/{id:int}", self.get_article),
        ]

    def router(self) -> Router:
        """Return the routes; one path may have several methods, and a wrong one is a 405."""
        by_path: dict[str, dict[str, Callable[[Request], Response | Awaitable[Response]]]] = {}
        for path, methods, endpoint in self._routes:
            by_path.setdefault(path, {})[methods[0]] = endpoint
        routes = [Route(path, _dispatch(by), methods=list(by)) for path, by in by_path.items()]
        return Router(routes, redirect_slashes=False)

    @staticmethod
    def _translated(path: str, endpoint: Any) -> list[tuple[str, list[str], Any]]:
        """Return a route and its variants that end in a language."""
        return [(path, ["GET"], endpoint), *((f"{path}/{language}", ["GET"], endpoint) for language in LANGUAGES)]

    # Tickets

    def list_tickets(self, request: Request) -> Response:
        """`GET /tickets`."""
        query = request.query_params
        for name in query:
            if name not in _TICKET_PARAMETERS:
                raise invalid(name, "Unexpected/invalid field in request", "invalid_field")
        page = page_of(request)
        if page.number > LAST_PAGE:
            raise invalid("page", _BEYOND)
        order_by = choice_of(query.get("order_by", "created_at"), "order_by", _ORDERS)
        order = choice_of(query.get("order_type", "desc"), "order_type", ("asc", "desc"))
        include = includes_of(request, LIST_INCLUDES)
        named = choice_of(query["filter"], "filter", _FILTERS) if "filter" in query else None
        updated_since = moment_in(query["updated_since"], "updated_since") if "updated_since" in query else None
        created_since = None
        if named is None and updated_since is None:
            created_since = self._clock() - timedelta(days=DAYS_WITHOUT_SINCE)
        tickets, more = self._account.page(
            "spam" if named == "spam" else "deleted" if named == "deleted" else "live",
            order_by=order_by,  # type: ignore[arg-type]  # one of `_ORDERS`
            descending=order == "desc",
            updated_since=updated_since,
            created_since=created_since,
            where=self._where(request, named),
            offset=page.offset,
            limit=page.size,
        )
        return self._listing(request, [ticket_item(self._account, ticket, include) for ticket in tickets], page, more)

    def _where(self, request: Request, named: str | None) -> Callable[[Json], bool] | None:
        query, agent = request.query_params, request.state.agent
        tests: list[Callable[[Json], bool]] = []
        if "requester_id" in query:
            requester = number_of(query["requester_id"], "requester_id")
            tests.append(lambda ticket: ticket["requester_id"] == requester)
        if "company_id" in query:
            company = number_of(query["company_id"], "company_id")
            tests.append(lambda ticket: ticket["company_id"] == company)
        if "email" in query:
            contacts = self._account.contacts.values()
            ids = {contact["id"] for contact in contacts if contact["email"] == query["email"].lower()}
            if not ids:
                raise invalid("email", "There is no contact matching the given email")
            tests.append(lambda ticket: ticket["requester_id"] in ids)
        if named == "new_and_my_open":
            tests.append(lambda ticket: ticket["status"] == 2 and ticket["responder_id"] in {None, agent["id"]})
        if named == "watching":
            tests.append(lambda ticket: False)  # nobody watches anything here
        if agent["ticket_scope"] != 1:
            tests.append(lambda ticket: in_scope(agent, ticket))
        return (lambda ticket: all(test(ticket) for test in tests)) if tests else None

    def get_ticket(self, request: Request) -> Response:
        """`GET /tickets/{id}`, in the trash or spam too."""
        include = includes_of(request, SINGLE_INCLUDES)
        return answer(whole_ticket(self._account, self._ticket(request), include, self._signer(request)))

    async def create_ticket(self, request: Request) -> Response:
        """`POST /tickets`."""
        body = await body_of(request)
        for name in ("subject", "description"):
            text_in(body, name)
        contact = self._requester(body)
        fields = {name: value for name, value in body.items() if name in WRITABLE - {"subject", "description"}}
        fields = {"status": 2, "priority": 1, "source": 2, **fields}
        custom = dict.fromkeys(("cf_order_id", "cf_product", "cf_os")) | fields.pop("custom_fields", {})
        number = self._account.add_ticket(
            body["subject"], body["description"], requester_id=contact["id"], custom_fields=custom, **fields
        )
        return answer(self._shown(number, request), 201)

    def _requester(self, body: Json) -> Json:
        contacts = self._account.contacts
        if body.get("requester_id") in contacts:
            return contacts[body["requester_id"]]
        email = body.get("email")
        if not isinstance(email, str) or "@" not in email:
            raise invalid(
                "email",
                "It should not be blank as this is a mandatory field"
                if not email
                else "It should be in a valid email format",
                "missing_field" if not email else "invalid_value",
            )
        for contact in contacts.values():
            if contact["email"] == email.lower():
                return contact
        number, now = self._account.new_id(), stamp(self._clock())
        contacts[number] = {
            "id": number,
            "active": False,
            "name": body.get("name") or email.split("@")[0],
            "email": email.lower(),
            "phone": None,
            "mobile": None,
            "company_id": None,
            "created_at": now,
            "updated_at": now,
        }
        return contacts[number]

    async def update_ticket(self, request: Request) -> Response:
        """`PUT /tickets/{id}`."""
        ticket = self._ticket(request)
        self._account.update_ticket(ticket["id"], **changes_in(await body_of(request)))
        return answer(self._shown(ticket["id"], request))

    async def bulk_update(self, request: Request) -> Response:
        """`POST /tickets/bulk_update`."""
        action = (await body_of(request)).get("bulk_action")
        if not isinstance(action, dict) or not isinstance(action.get("ids"), list):
            raise invalid("bulk_action", "It should be a/an key/value pair", "missing_field")
        changes = changes_in(action.get("properties") or {})
        for number in action["ids"]:
            if self._account.ticket(number) is not None:
                self._account.update_ticket(number, **changes)
        job = f"{self._account.new_id():x}"
        return answer({"job_id": job, "href": f"{request.state.base}/api/v2/jobs/{job}"}, 202)

    def delete_ticket(self, request: Request) -> Response:
        """`DELETE /tickets/{id}`: into the trash."""
        self._account.delete_ticket(self._ticket(request)["id"])
        return Response(status_code=204)

    def restore_ticket(self, request: Request) -> Response:
        """`PUT /tickets/{id}/restore`."""
        self._account.restore_ticket(self._ticket(request)["id"])
        return Response(status_code=204)

    def list_conversations(self, request: Request) -> Response:
        """`GET /tickets/{id}/conversations`."""
        sign = self._signer(request)
        items = [conversation(item, sign) for item in self._account.conversations(self._ticket(request)["id"])]
        return self._slice(request, items)

    async def add_note(self, request: Request) -> Response:
        """`POST /tickets/{id}/notes`: private unless it says otherwise."""
        ticket, body = self._ticket(request), await body_of(request)
        text, private = text_in(body, "body"), body.get("private", True)
        if not isinstance(private, bool):
            raise invalid("private", "Value set is of type String.It should be a/an Boolean", "datatype_mismatch")
        by = request.state.agent["id"]
        note = self._account.add_conversation(ticket["id"], text, private=private, user_id=by, source=2)
        return answer(conversation(note, self._signer(request)), 201)

    async def add_reply(self, request: Request) -> Response:
        """`POST /tickets/{id}/reply`."""
        ticket, body = self._ticket(request), await body_of(request)
        contact = self._account.contacts.get(ticket["requester_id"], {})
        reply = self._account.add_conversation(
            ticket["id"],
            text_in(body, "body"),
            user_id=request.state.agent["id"],
            from_email=body.get("from_email") or f"support@{self._account.subdomain}.freshdesk.com",
            to_emails=[contact["email"]] if contact.get("email") else [],
            cc_emails=body.get("cc_emails") or [],
        )
        return answer(conversation(reply, self._signer(request)), 201)

    def search_tickets(self, request: Request) -> Response:
        """`GET /search/tickets?query="…"`: pages of 30, 10 of them."""
        for name in request.query_params:
            if name not in {"query", "page"}:
                raise invalid(name, "Unexpected/invalid field in request", "invalid_field")
        number = number_of(request.query_params.get("page", "1"), "page")
        if number > SEARCH_PAGES:
            raise invalid("page", f"It should be a Positive Integer less than or equal to {SEARCH_PAGES}")
        try:
            test = parse_query(request.query_params.get("query", ""))
        except BadQuery:
            raise invalid("query", "Given query is invalid. Please provide valid query") from None
        latest, agent = stamp(self._clock() - self._search_lag), request.state.agent
        found, _ = self._account.page(
            order_by="created_at",
            where=lambda ticket: ticket["updated_at"] <= latest and in_scope(agent, ticket) and test(ticket),
            limit=self._account.count(),
        )
        first = (number - 1) * SEARCH_PAGE
        results = [ticket_item(self._account, ticket, frozenset({"description"})) for ticket in found]
        return answer({"total": len(found), "results": results[first : first + SEARCH_PAGE]})

    # People

    def me(self, request: Request) -> Response:
        """`GET /agents/me`: what the cheap check of a key asks."""
        return answer(request.state.agent)

    def list_agents(self, request: Request) -> Response:
        """`GET /agents`, for administrators."""
        require_admin(request)
        return self._slice(request, list(self._account.agents.values()))

    def list_groups(self, request: Request) -> Response:
        """`GET /groups`, for administrators."""
        require_admin(request)
        return self._slice(request, list(self._account.groups.values()))

    def list_ticket_fields(self, request: Request) -> Response:
        """`GET /ticket_fields`."""
        return answer(self._account.ticket_fields)

    def list_contacts(self, request: Request) -> Response:
        """`GET /contacts`; its bound is called `_updated_since`."""
        contacts = list(self._account.contacts.values())
        if "_updated_since" in request.query_params:
            since = stamp(moment_in(request.query_params["_updated_since"], "_updated_since"))
            contacts = [contact for contact in contacts if contact["updated_at"] >= since]
        if "email" in request.query_params:
            contacts = [contact for contact in contacts if contact["email"] == request.query_params["email"].lower()]
        return self._slice(request, contacts)

    def list_of(self, name: str) -> Callable[[Request], Response]:
        """Return a route that lists a table."""
        return lambda request: self._slice(request, list(getattr(self._account, name).values()))

    def get_of(self, name: str) -> Callable[[Request], Response]:
        """Return a route that shows one of a table."""
        return lambda request: answer(self._one(name, request))

    # Solutions

    def helpdesk_settings(self, request: Request) -> Response:
        """`GET /settings/helpdesk`: which languages there are."""
        return answer(self._account.languages)

    def list_categories(self, request: Request) -> Response:
        """`GET /solutions/categories`."""
        return self._translations(request, self._account.categories.values())

    def list_folders(self, request: Request) -> Response:
        """`GET /solutions/categories/{id}/folders`: the top ones; nested ones are theirs to tell."""
        category = self._one("categories", request)["id"]
        folders = self._account.folders.values()
        top = (item for item in folders if item["category_id"] == category and item["parent_folder_id"] is None)
        return self._translations(request, top)

    def list_subfolders(self, request: Request) -> Response:
        """`GET /solutions/folders/{id}/subfolders`."""
        parent = self._one("folders", request)["id"]
        below = (item for item in self._account.folders.values() if item["parent_folder_id"] == parent)
        return self._translations(request, below)

    def get_translated(self, name: str) -> Callable[[Request], Response]:
        """Return a route that shows one category or folder."""

        def get(request: Request) -> Response:
            shown = translated(self._one(name, request), language_of(request))
            if shown is None:
                raise Refused(404)
            return answer(shown)

        return get

    def list_articles(self, request: Request) -> Response:
        """`GET /solutions/folders/{id}/articles`, drafts too."""
        folder, language, sign = self._one("folders", request)["id"], language_of(request), self._signer(request)
        inside = [item for item in self._account.articles.values() if item["folder_id"] == folder]
        shown = (article(self._account, item, language, sign) for item in inside)
        return self._slice(request, [item for item in shown if item is not None])

    def get_article(self, request: Request) -> Response:
        """`GET /solutions/articles/{id}`."""
        shown = article(self._account, self._one("articles", request), language_of(request), self._signer(request))
        if shown is None:
            raise Refused(404)
        return answer(shown)

    # What they share

    def _ticket(self, request: Request) -> Json:
        ticket = self._account.ticket(request.path_params["id"])
        if ticket is None:
            raise Refused(404)
        if not in_scope(request.state.agent, ticket):
            raise Refused(403, {"code": "access_denied", "message": DENIED})
        return ticket

    def _shown(self, number: int, request: Request) -> Json:
        ticket = self._account.ticket(number)
        if ticket is None:
            raise Refused(404)
        return whole_ticket(self._account, ticket, frozenset(), self._signer(request))

    def _one(self, name: str, request: Request) -> Json:
        item: Json | None = getattr(self._account, name).get(request.path_params["id"])
        if item is None:
            raise Refused(404)
        return item

    def _translations(self, request: Request, items: Iterable[Json]) -> Response:
        language = language_of(request)
        shown = (translated(item, language) for item in items)
        return self._slice(request, [item for item in shown if item is not None])

    def _slice(self, request: Request, items: list[Json]) -> Response:
        page = page_of(request)
        end = page.offset + page.size
        return self._listing(request, items[page.offset : end], page, end < len(items))

    def _listing(self, request: Request, items: list[Json], page: Page, more: bool) -> Response:
        if not more:
            return answer(items)
        url = request.url.replace(scheme="http").include_query_params(page=page.number + 1)
        target = f"{request.state.base}{request.scope['path']}?{url.query}"
        return answer(items, headers={"link": f'<{target}>; rel="next"'})

    def _signer(self, request: Request) -> Callable[[Json], Json]:
        origin: str = request.state.origin
        return lambda attachment: self._sign(attachment, origin)


def _dispatch(by_method: Mapping[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        handler = by_method.get(request.method) or by_method.get("GET" if request.method == "HEAD" else "")
        if handler is None:
            raise HTTPException(405, headers={"Allow": ", ".join(by_method)})
        answered = handler(request)
        return answered if isinstance(answered, Response) else await answered

    return endpoint
