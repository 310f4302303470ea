"""Route templates and their precedence."""

import pytest

from localcloud.functions.definition import Binding, FunctionDefinition, HostError
from localcloud.functions.routes import Router


def function(name: str, route: str | None, *methods: str) -> FunctionDefinition:
    properties = {"name": "req", "type": "httpTrigger", "direction": "IN", "methods": list(methods) or None}
    return FunctionDefinition(name, name, Binding.parse({**properties, **({"route": route} if route else {})}))


def find(path: str, *routes: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    """The template that takes the path, with its parameters."""
    found = Router([function(route, route) for route in routes], "api").find(method, path)
    return found and (found[0].name, found[1])


@pytest.mark.parametrize(
    ("path", "template", "values"),
    [
        ("/api/a", "a", {}),
        ("/API/A/", "a", {}),
        ("/api/a/x", "a/{name}", {"name": "x"}),
        ("/api/a", "a/{name?}", {}),
        ("/api/a", "a/{name=none}", {"name": "none"}),
        ("/api/a/b/c", "a/{*rest}", {"rest": "b/c"}),
        ("/api/a", "a/{*rest}", {}),
        ("/api/a/b/c", "a/{**rest}", {"rest": "b/c"}),
        ("/api/report.json", "{name}.{format}", {"name": "report", "format": "json"}),
        ("/api/report.v2.json", "{name}.{format}", {"name": "report.v2", "format": "json"}),
        ("/api/report.v2.json", "{name}.{format?}", {"name": "report.v2", "format": "json"}),
        ("/api/report", "{name}.{format:alpha?}", {"name": "report"}),
        ("/api/v2-x", "v{number:int}-{name}", {"number": "2", "name": "x"}),
        ("/api/a%20b", "{name}", {"name": "a b"}),
        ("/api/a%2fb", "{name}", {"name": "a%2Fb"}),
        ("/api/2026-11-20", "{day:datetime}", {"day": "2026-11-20"}),
        ("/api/12", "{pin:regex(^\\d{{2}}$)}", {"pin": "12"}),
        ("/api/5", "{number:range(1,5)}", {"number": "5"}),
        ("/api/ab", "{text:length(2)}", {"text": "ab"}),
        ("/api/8c7bd0d7-4b1f-4b0d-9a3f-0a3c6a1f4a11", "{id:guid}", {"id": "8c7bd0d7-4b1f-4b0d-9a3f-0a3c6a1f4a11"}),
    ],
)
def test_template_matches(path: str, template: str, values: dict[str, str]) -> None:
    assert find(path, template) == (template, values)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/a/b", "a"),
        ("/api/a", "a/{name}"),
        ("/a", "a"),
        ("/api/x", "{number:int}"),
        ("/api/9999999999", "{number:int}"),
        ("/api/6", "{number:range(1,5)}"),
        ("/api/abc", "{text:maxlength(2)}"),
        ("/api/1", "{text:alpha}"),
        ("/api/maybe", "{flag:bool}"),
        ("/api/123", "{pin:regex(^\\d{{2}}$)}"),
    ],
)
def test_template_does_not_match(path: str, template: str) -> None:
    assert find(path, template) is None


def test_literal_beats_constraint_beats_parameter_beats_catch_all() -> None:
    routes = ("{*rest}", "{name}", "{number:int}", "7")
    found = [find(path, *routes) for path in ("/api/7", "/api/8", "/api/x", "/api/x/y")]
    assert [one and one[0] for one in found] == ["7", "{number:int}", "{name}", "{*rest}"]


def test_method_chooses_between_functions_on_one_route() -> None:
    router = Router([function("read", "a", "GET"), function("write", "a", "POST", "PUT")], "api")
    found = [router.find(method, "/api/a") for method in ("GET", "PUT", "DELETE")]
    assert [one and one[0].name for one in found] == ["read", "write", None]


def test_a_route_that_another_function_has_for_the_same_method_is_refused() -> None:
    router = Router([function("read", "a/{id}", "GET")], "api")
    router.add(function("write", "a/{id}", "POST"))
    for methods in (("PUT", "GET"), ()):
        with pytest.raises(HostError, match="is already that of 'read'"):
            router.add(function("again", "A/{ID}", *methods))


@pytest.mark.parametrize("template", ["admin/users", "/Administrators", "runtime/x"])
def test_a_route_that_begins_as_those_of_the_host_is_refused(template: str) -> None:
    with pytest.raises(HostError, match="begins with a reserved word"):
        Router([function("f", template)], "")


def test_function_without_a_route_has_its_name_and_an_empty_prefix_none() -> None:
    found = Router([function("hello", None)], "").find("GET", "/hello")
    assert found is not None


@pytest.mark.parametrize("template", ["a/{name", "{name:unknown}", "a}b"])
def test_template_that_cannot_be_read_is_an_error(template: str) -> None:
    with pytest.raises(HostError, match="cannot be read"):
        Router([function("f", template)], "api")
