# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converts domain names to and from Route53's form: lower case, a dot at the end, octal escapes for unusual characters.

"If the domain name includes any characters other than a to z, 0 to 9, - (hyphen), or _ (underscore), Route 53 API actions
return the characters as escape codes": a wildcard comes back as \\052, however it was written.
"""

from __future__ import annotations

import re

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

USUAL = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
TOKEN = re.compile(r"\\([0-3][0-7]{2})|([!-\[\]-~])")
ESCAPE = re.compile(r"\\([0-7]{3})")
WILDCARD = "\\052."
# A mark is a TXT record beside the record that it marks: _infinite-databases.NAME. In the mark of a wildcard, _wildcard replaces
# the *, because the mark must not be a wildcard itself.
MARK = "_infinite-databases."
MARK_WILDCARD = "_wildcard."


def _escaped(name: str) -> str:
    """Return the name with Route53's escapes, without the dot at the end."""
    text = name.removesuffix(".") if not name.endswith("\\.") else name
    usual = text.lower()
    if USUAL.fullmatch(usual):
        return usual
    result, position = [], 0
    while position < len(text):
        token = TOKEN.match(text, position)
        if not token:
            advice = (
                "write \\052 and the like in three octal digits" if text[position] == "\\" else "use its Punycode form, xn--..."
            )
            raise InvalidInput(f"{ascii(name)[:80]} is not a domain name: {text[position]!a} is not allowed; {advice}")
        position = token.end()
        if token[2] == ".":
            result.append(".")
            continue
        character = (chr(int(token[1], 8)) if token[1] else token[2]).lower()
        # An escaped dot is a part of its label, and stays escaped.
        result.append(character if re.fullmatch(r"[a-z0-9_-]", character) else f"\\{ord(character):03o}")
    return "".join(result)


def canonical(name: str) -> str:
    """Return the name in Route53's form. Names that differ only in case, the last dot or escapes become equal."""
    text = _escaped(name)
    lengths = [len(ESCAPE.sub("?", label)) for label in text.split(".")]
    if not all(0 < length < 64 for length in lengths) or sum(lengths) + len(lengths) > 254:
        raise InvalidInput(f"{ascii(name)[:80]} is not a domain name: labels have 1 to 63 characters, a name 253 at most")
    return text + "."


def readable(name: str) -> str:
    """Return the name for people: without the dot at the end, and with characters such as * unescaped."""

    def character(escape: re.Match[str]) -> str:
        value = chr(int(escape[1], 8))
        return value if "!" <= value <= "~" and value not in ".\\" else escape[0]

    return ESCAPE.sub(character, name.removesuffix("."))


def within(name: str, domain: str) -> bool:
    """Return whether a canonical name is the domain itself or below it."""
    return name == domain or name.endswith(f".{domain}")


def order(name: str) -> tuple[str, str]:
    """Return a name's place in a zone's list, in both of the orders that occur.

    ListResourceRecordSets "sorts results first by DNS name with the labels reversed, for example: com.example.www. Note the
    trailing dot, which can change the sort order when the record name contains characters that appear before ." This is the
    first order. moto leaves the dot out, which is the second order. The code relies on a place only if both orders agree.
    """
    labels = ".".join(reversed(name.removesuffix(".").split(".")))
    return f"{labels}.", labels


def beyond(name: str, domain: str) -> bool:
    """Return whether a list that began at the domain has passed the end of the domain when it reaches this name."""
    if within(name, domain) or "\\" in name:
        return False
    (dotted, plain), (end, _same) = order(name), order(domain)
    return dotted > end and plain > end


def mark_name(name: str) -> str:
    if name.startswith(WILDCARD):
        name = MARK_WILDCARD + name.removeprefix(WILDCARD)
    if len(ESCAPE.sub("?", MARK + name)) > 254:
        raise InvalidInput(f"{readable(name)} is too long to be marked as ours ({MARK}NAME has 253 characters at most)")
    return MARK + name


def marked_name(mark: str) -> str:
    """Return the name that a mark is for."""
    name = mark.removeprefix(MARK)
    return WILDCARD + name.removeprefix(MARK_WILDCARD) if name.startswith(MARK_WILDCARD) else name
