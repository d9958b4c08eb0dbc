"""For tests of forms: what a browser makes of a page."""

from html.parser import HTMLParser

from django.forms import Form
from django.http import QueryDict


class Browser(HTMLParser):
    """Collects what a browser would send for a page's inputs, selects and textareas."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self.select = self.text = ""
        self.chosen: str | None = None
        self.area: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag == "input" and (found.get("type") != "checkbox" or "checked" in found):
            self.sent.append((found["name"], found.get("value", "on" if found.get("type") == "checkbox" else "")))
        elif tag == "select":
            self.select, self.chosen = found["name"], None
        elif tag == "option" and self.select and ("selected" in found or self.chosen is None):
            self.chosen = found.get("value", "")
        elif tag == "textarea":
            self.text, self.area = found["name"], []

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.area.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.sent.append((self.select, self.chosen or ""))
            self.select = ""
        elif tag == "textarea" and self.area is not None:
            # A browser drops the first newline of a textarea and sends the others as CR LF.
            self.sent.append((self.text, "".join(self.area).replace("\r\n", "\n").removeprefix("\n").replace("\n", "\r\n")))
            self.area = None


def submitted(form: Form) -> QueryDict:
    """What arrives when a page with this form is opened and sent unchanged."""
    browser = Browser()
    browser.feed(form.as_div())
    data = QueryDict(mutable=True)
    for name, value in browser.sent:
        data.appendlist(name, value)
    return data
