"""Checks the links inside a built mdBook, and those of a README to files beside it.

usage: linkcheck.py BOOK_DIR README

A link must reach a file that exists, and its fragment an id on that page. Links to other sites
are left alone: a build must not depend on them.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What one HTML page links to, and which fragments it offers."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in ("href", "src", "data") and value and tag != "base":
                self.links.append(value)


def external(link):
    parts = urlsplit(link)
    return bool(parts.scheme or parts.netloc)


def broken_in_book(book):
    # print.html repeats every page under other paths; 404.html is relative to a server's root.
    paths = [p for p in sorted(book.rglob("*.html")) if p.name not in ("404.html", "print.html", "toc.html")]
    pages = {p.resolve(): Page(p) for p in paths}
    if not pages:
        yield f"{book}: no pages in it"
    for path, page in pages.items():
        for link in page.links:
            if external(link):
                continue
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            shown = path.relative_to(book.resolve())
            if not target.exists():
                yield f"{shown}: no such page or file: {link}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                yield f"{shown}: no such place on that page: {link}"


def broken_in_readme(readme):
    text = readme.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text):
        if not external(link) and not link.startswith("#") and not (readme.parent / urlsplit(link).path).exists():
            yield f"{readme}: no such file: {link}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    book, readme = map(Path, sys.argv[1:])
    broken = list(broken_in_book(book)) + list(broken_in_readme(readme))
    for line in broken:
        print(f"links: {line}", file=sys.stderr)
    if broken:
        sys.exit(1)
    print(f"links: all of {book}/ and {readme} lead somewhere")


main()
