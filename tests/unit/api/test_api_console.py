"""The console's pages and files, as a browser gets them."""

from tests.support.api_station import Desk


def test_every_answer_carries_the_guarding_headers(desk: Desk) -> None:
    for path in ("/", "/lane/lane-1", "/review", "/docs", "/api/v1/lanes", "/api/v1/nowhere", "/static/console.css", "/locales/vi.json"):
        headers = desk.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/lane/%3Cscript%3E", "/static/../app.py", "/static/%2e%2e/app.py", "/locales/xx.json"):
        assert desk.client.get(path).status_code in {404, 422}


def test_a_browser_asks_before_it_uses_its_copy_of_a_script(desk: Desk) -> None:
    first = desk.client.get("/static/js/lane.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "no-cache"
    again = desk.client.get("/static/js/lane.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert desk.client.get("/static/js/lane.js", headers={"If-None-Match": '"another"'}).content == first.content
    head = desk.client.head("/static/js/lane.js")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(first.content)))
    for path in ("/static/", "/static/js", "/static/nothing.js"):
        assert desk.client.get(path).status_code == 404
