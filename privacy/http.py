"""The one bridge between use cases and HTTP: access, parsing, problems, headers.

Deny by default: a view without `@requires` is refused, whoever asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import urlencode

from flask import Flask, Response, current_app, g, jsonify, redirect, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.exceptions import NotFound as NoRoute
from werkzeug.wrappers import Response as BaseResponse

from policies.assurance import Action
from policies.errors import (
    DomainError,
    InsufficientScope,
    InvalidInput,
    NotFound,
    TooManyAttempts,
    Unauthenticated,
)
from policies.vocabulary import Scope
from privacy.actor import ANONYMOUS, Actor, ActorKind
from privacy.problems import PROBLEMS

P = ParamSpec("P")
R = TypeVar("R")

#: Paths that answer JSON, take a bearer token and never look at a cookie.
API_PREFIXES = ("/v1/", "/access/v1/")
#: Paths that speak OAuth's own form and authenticate the client themselves.
OAUTH_BACK_CHANNEL = (
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/par",
    "/oauth/userinfo",
    "/oauth/jwks",
    "/.well-known/",
)
#: Forms that other sites send here on purpose; the view turns them into a GET and changes nothing.
FORMS_FROM_OUTSIDE = ("/oauth/authorize", "/oauth/logout")
#: Below here only outside providers send forms, through the browser or by themselves; what they say
#: counts by its own proofs. No page of ours has a form that goes there.
FORMS_OF_PROVIDERS = "/sso/"
#: Methods that change nothing. Source: RFC 9110 s. 9.2.1.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a browser says of a form that our own page, or nobody's, sends. Source: W3C Fetch Metadata.
OWN_SITE = frozenset({"same-origin", "none"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: What answers that are no pages may load. Source: OWASP REST Security Cheat Sheet, Security Headers.
API_CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"
#: Passkeys are for our own pages; nothing of the machine is for anybody. Source: W3C Permissions
#: Policy s. 5; WebAuthn L3 s. 5.9.
PERMISSIONS_POLICY = (
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), "
    "publickey-credentials-create=(self), publickey-credentials-get=(self)"
)

log = logging.getLogger("placet.http")
csrf = CSRFProtect()

Authenticator = Callable[[], Actor | None]
#: Given who asks, what for, and the page to come back to: where to prove more first, or None.
StepUp = Callable[[Actor, Action, str], BaseResponse | None]

#: What a scope that opens other people's data demands of the session that holds it.
ACTION_OF_SCOPE = {
    Scope.DESK: Action.DESK,
    Scope.ADMINISTRATION: Action.ADMINISTRATION,
}


class MalformedJson(DomainError):
    """The body is not JSON."""

    code = "malformed-json"


class UnsupportedMediaType(DomainError):
    """The body is of another media type than the one agreed."""

    code = "unsupported-media-type"


class InvalidFields(InvalidInput):
    """Several members are wrong at once.

    Attributes:
        errors: (dotted path of the member, what is wrong with it), at least one.
    """

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{f}: {m}" for f, m in errors), field=errors[0][0])
        self.errors = tuple(errors)


def requires(
    scope: Scope, action: Action | None = None, *, page: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Demand `scope` of the caller before the view runs, and the assurance of `action`.

    A signed-in person whose session is not assured enough is led to prove the missing factor and
    from there to `page`; nothing of the view has run by then.

    Args:
        scope: what the caller must hold.
        action: what the view does, where `policies.assurance.NEEDS` asks more than a session.
        page: where a form that was sent too early is found, with the view's own arguments in braces;
            None: at the view's own address.
    """
    action = action or ACTION_OF_SCOPE.get(scope)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            actor = current_actor()
            if action is not None and actor.kind is ActorKind.PERSON and not is_api(request.path):
                stop = _step_up(actor, action, page)
                if stop is not None:
                    return cast("R", stop)
            actor.demand(scope)
            return view(*args, **kwargs)

        guarded.required_scope = scope  # type: ignore[attr-defined]  # read by the deny-by-default check
        guarded.required_action = action  # type: ignore[attr-defined]  # read by a test of every view
        return guarded

    return decorate


def takes_up_to(limit_bytes: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view take a longer body than others, from callers who hold its scope.

    Written above `requires`.

    Args:
        limit_bytes: of the whole body.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        view.body_limit_bytes = limit_bytes  # type: ignore[attr-defined]  # read before the body is
        return view

    return decorate


def _step_up(actor: Actor, action: Action, page: str | None) -> BaseResponse | None:
    step_up = cast("StepUp | None", current_app.extensions.get("placet.step-up"))
    here = request.full_path.rstrip("?") if request.method == "GET" else request.path
    there = page.format_map(request.view_args or {}) if page else here
    return step_up(actor, action, there) if step_up else None


def is_api(path: str) -> bool:
    """Tell whether `path` takes bearer tokens and answers JSON only."""
    return path.startswith(API_PREFIXES)


def current_actor() -> Actor:
    """Return who sent this request, worked out once per request."""
    if "actor" not in g:
        name = "bearer" if is_api(request.path) else "session"
        authenticate = cast("Authenticator | None", current_app.extensions.get(f"placet.{name}"))
        g.actor = (authenticate() if authenticate else None) or ANONYMOUS
    return cast("Actor", g.actor)


def confirm_actor(scope: Scope) -> None:
    """Work out anew who sent this request, for what must hold once all of it is there.

    A body may arrive long after the headers, and the token may have ended in between.

    Raises:
        Unauthenticated, InsufficientScope: the caller holds `scope` no longer.
    """
    g.pop("actor", None)
    current_actor().demand(scope)


def authenticate_with(
    app: Flask,
    *,
    bearer: Authenticator,
    session: Authenticator | None = None,
    step_up: StepUp | None = None,
) -> None:
    """Wire who turns a bearer token, and who a session cookie, into an `Actor`.

    Args:
        app: the application.
        bearer: reads the token.
        session: reads the cookie; None: there are no pages here.
        step_up: says where a person must prove more before an action.
    """
    app.extensions["placet.bearer"] = bearer
    app.extensions["placet.session"] = session
    app.extensions["placet.step-up"] = step_up


def parse_json(schema: Schema) -> Any:  # noqa: ANN401 - what the schema's post_load makes
    """Return the request's body as `schema` loads it.

    Raises:
        UnsupportedMediaType: the media type is not application/json.
        MalformedJson: the body is not one JSON value in UTF-8.
        InvalidFields: members are missing, unknown or of the wrong type.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    try:
        body = current_app.json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        raise MalformedJson("the body is not one JSON value in UTF-8") from None
    return load(schema, body)


def parse_query(schema: Schema) -> Any:  # noqa: ANN401 - what the schema's post_load makes
    """Return the query string as `schema` loads it; a repeated parameter is refused.

    Raises:
        InvalidFields: parameters are unknown, repeated or wrong.
    """
    repeated = [(k, "may stand once only") for k, v in request.args.lists() if len(v) > 1]
    if repeated:
        raise InvalidFields(repeated)
    return load(schema, request.args.to_dict())


def load(schema: Schema, value: object) -> Any:  # noqa: ANN401 - what the schema's post_load makes
    """Return `value` as `schema` loads it, with marshmallow's errors as ours.

    Raises:
        InvalidFields: names every member that is wrong.
    """
    try:
        return schema.load(cast("Mapping[str, Any]", value))
    except ValidationError as error:
        raise InvalidFields(list(_flatten(error.messages))) from None


def _flatten(messages: object, path: str = "") -> list[tuple[str, str]]:
    if isinstance(messages, Mapping):
        found: list[tuple[str, str]] = []
        for name, inner in messages.items():
            own = "" if name == "_schema" else str(name)
            found += _flatten(inner, ".".join(p for p in (path, own) if p))
        return found
    if isinstance(messages, list):
        return [(path or "(body)", str(message)) for message in messages]
    return [(path or "(body)", str(messages))]


def problem_response(error: DomainError) -> Response:
    """Return `error` as a problem document. Source: RFC 9457."""
    problem = PROBLEMS[error.code]
    body: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": error.detail,
    }
    if isinstance(error, InvalidFields):
        body["errors"] = [{"field": f, "detail": m} for f, m in error.errors]
    elif error.field:
        body["errors"] = [{"field": error.field, "detail": error.detail}]
    response = jsonify(body)
    response.status_code = problem.status
    response.mimetype = "application/problem+json"
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        # A token was sent and did not count: RFC 6750 s. 3.1.
        wrong = ', error="invalid_token"' if "Authorization" in request.headers else ""
        response.headers["WWW-Authenticate"] = 'Bearer realm="placet"' + wrong
    if isinstance(error, InsufficientScope):
        response.headers["WWW-Authenticate"] = 'Bearer realm="placet", error="insufficient_scope"'
    return response


def wants_page() -> bool:
    """Tell whether the answer is for a person's eyes rather than a program."""
    if current_app.extensions.get("placet.session") is None:  # no pages here
        return False
    if is_api(request.path) or request.path.startswith(OAUTH_BACK_CHANNEL):
        return False
    return bool(request.accept_mimetypes.accept_html)


def _answer(error: DomainError) -> BaseResponse:
    if not wants_page():
        return problem_response(error)
    if isinstance(error, Unauthenticated) and request.method == "GET":
        here = request.full_path.rstrip("?")
        return redirect("/login?" + urlencode({"next": here}), code=303)
    problem = PROBLEMS[error.code]
    page = render_template("error.html", code=error.code, status=problem.status)
    response = current_app.make_response((page, problem.status))
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


class _Named(DomainError):
    """An HTTP error of the framework under one of our codes."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # one class serves the framework's few errors


def _from_http(error: HTTPException) -> BaseResponse:
    if isinstance(error, CSRFError):
        return _answer(_Named("csrf-failed", "load the form again and send it once more"))
    if isinstance(error, NoRoute):
        return _answer(NotFound("there is nothing at this address"))
    if isinstance(error, MethodNotAllowed):
        response = _answer(_Named("method-not-allowed", "another method is needed here"))
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response
    if isinstance(error, RequestEntityTooLarge):
        return _answer(_Named("body-too-large", "send less in one request"))
    if error.code is not None and error.code < 400:
        return error.get_response()
    return _answer(_Named("bad-request", "the request could not be read"))


def _unexpected(error: Exception) -> BaseResponse:
    log.error("unexpected error at %s %s", request.method, request.endpoint, exc_info=error)
    return _answer(_Named("internal-error", "nothing was changed; try again later"))


def _deny_by_default() -> None:
    if request.endpoint is None:
        return
    view = current_app.view_functions[request.endpoint]
    if request.endpoint != "static" and not hasattr(view, "required_scope"):
        raise NotFound("there is nothing at this address")
    limit = getattr(view, "body_limit_bytes", None)
    if limit is not None and current_actor().may(getattr(view, "required_scope", Scope.PUBLIC)):
        request.max_content_length = limit


def _refuse_null_characters() -> None:
    """Refuse U+0000 in an address or a form: PostgreSQL keeps no text that holds one.

    OAuth's own endpoints say it in OAuth's own form. A form that no view is going to read is not
    waited for: it may never come.
    """
    if "\0" in request.path:
        raise NotFound("there is nothing at this address")
    if request.path.startswith("/oauth/"):
        return
    sent = [*request.args.items(multi=True)]
    if request.endpoint is not None and request.method not in SAFE and not is_api(request.path):
        sent += request.form.items(multi=True)
    for pair in sent:
        if any("\0" in text for text in pair):
            raise _Named("bad-request", "a value holds a null character")


def _protect_forms() -> None:
    """Check the CSRF token of every form; bearer-token paths carry no ambient authority."""
    if request.endpoint is None:  # nothing is going to be done
        return
    if is_api(request.path) or request.path.startswith(OAUTH_BACK_CHANNEL):
        return
    if request.path in FORMS_FROM_OUTSIDE or request.path.startswith(FORMS_OF_PROVIDERS):
        return
    unsafe = request.method not in SAFE
    if unsafe and request.headers.get("Sec-Fetch-Site", "same-origin") not in OWN_SITE:
        raise CSRFError("another site sent this form")
    csrf.protect()


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if is_api(request.path):  # the rest is for pages, which links, windows and scripts belong to
        headers.setdefault("Content-Security-Policy", API_CONTENT_SECURITY_POLICY)
    else:
        headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
    if current_app.config["PLACET_HTTPS"]:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response


def init_http(app: Flask) -> None:
    """Attach access control, error answers and headers to `app`."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    # The strict check wants a Referer, which our own Referrer-Policy keeps browsers from sending;
    # `_protect_forms` looks at Sec-Fetch-Site instead.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # it lives as long as the session it is bound to
    csrf.init_app(app)
    app.before_request(_deny_by_default)
    app.before_request(_refuse_null_characters)
    app.before_request(_protect_forms)
    app.register_error_handler(DomainError, _answer)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_headers)


def only(app: Flask, prefixes: tuple[str, ...]) -> None:
    """Let `app` answer at these paths alone; whatever else is asked for is not there."""

    def refuse() -> None:
        if not request.path.startswith(prefixes):
            raise NotFound("there is nothing at this address here")

    app.before_request_funcs.setdefault(None, []).insert(0, refuse)
