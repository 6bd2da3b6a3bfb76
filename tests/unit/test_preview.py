# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names and labels of pull requests' databases, whatever the pull request or its branch is called."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._database import preview
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_labels, check_name

BRANCHES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=preview.KEY_LENGTH)
# Names that look like what others become.
TRICKY = st.from_regex(r"([a-z0-9]{1,3}|pr|0[a-z2-7]{11}|pooler)(-([a-z0-9]{1,3}|pr|0[a-z2-7]{11}|pooler)){0,4}", fullmatch=True)
PROJECTS = st.just("") | TRICKY | st.text(max_size=30).filter(str.isprintable)


@pytest.mark.parametrize(
    ("key", "project", "name"),
    [
        (123, "", "pr-123"),
        ("123", "", "pr-123"),
        ("0123", "", "pr-0123"),
        (123, "shop", "shop-pr-123"),
        ("login-page", "web-shop", "web-shop-pr-login-page"),
    ],
)
def test_a_name_that_says_all(key: str | int, project: str, name: str) -> None:
    assert preview.name_of(key, project) == name


@pytest.mark.parametrize(
    ("key", "project", "start"),
    [
        ("feature/Foo_bar", "", "pr-feature-foo-bar-0"),
        ("feature/foo-bar", "", "pr-feature-foo-bar-0"),
        ("Login", "Shop", "shop-pr-login-0"),
        ("1", "1shop", "p1shop-pr-1-0"),
        ("x-pr-1", "", "pr-x-pr-1-0"),
        ("$(rm -rf /)", "acme/web", "acme-web-pr-rm-rf-0"),
        ("///", "", "pr-0"),
        ("pooler", "", "pr-pooler-0"),
        ("x" * 255, "y" * 255, f"{'y' * 20}-pr-{'x' * 26}-0"),
    ],
)
def test_a_name_that_needs_a_digest(key: str, project: str, start: str) -> None:
    name = preview.name_of(key, project)
    assert name.startswith(start)
    assert preview.DIGEST.fullmatch(name.rpartition("-")[2])
    assert check_name(name) == name


def test_a_name_stays_what_it_is() -> None:
    """Another answer by a later version would make another database of the same pull request."""
    assert preview.name_of("feature/Foo_bar", "Shop") == "shop-pr-feature-foo-bar-0lbgfqcls7xw"


@given(BRANCHES | TRICKY, PROJECTS)
@example("x", "pr")
def test_every_name_is_a_databases_name(key: str, project: str) -> None:
    assume(key.isprintable())
    name = preview.name_of(key, project)
    assert check_name(name) == name
    assert preview.name_of(key, project) == name
    assert check_labels({preview.LABEL: name}) == {preview.LABEL: name}


@given(BRANCHES | TRICKY, PROJECTS, BRANCHES | TRICKY, PROJECTS)
@example("x-pr-1", "", "1", "pr-x")
@example("b-pr-c", "a", "c", "a-pr-b")
@example("Foo", "", preview.name_of("Foo").removeprefix("pr-"), "")
@example("a-b", "", "a_b", "")
@example("x" * 100, "", "x" * 101, "")
def test_no_two_keys_have_one_name(key: str, project: str, other: str, of_other: str) -> None:
    assume((key, project) != (other, of_other))
    assert preview.name_of(key, project) != preview.name_of(other, of_other)


@given(TRICKY)
def test_a_name_used_as_a_key_is_another_database(key: str) -> None:
    name = preview.name_of(key)
    assert name not in {preview.name_of(name), preview.name_of(name.removeprefix("pr-"), "pr")}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "pr: is empty"),
        ("a\nb", "not one line"),
        ("x" * 256, "not one line of at most 255"),
        ("x" * 10_000, "(10002 characters) is not one line"),
        ("a\u202eb", "not one line"),
        (True, "neither a number nor a name"),
        (["1"], "neither a number nor a name"),
        (None, "neither a number nor a name"),
        (1.5, "neither a number nor a name"),
    ],
)
def test_a_key_that_is_refused(key: object, said: str) -> None:
    with pytest.raises(ValueError, match="pr: ") as refused:
        preview.name_of(key)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_labels_of_a_new_preview() -> None:
    assert preview.labels_of("pr-1", "", None, "") == {"preview": "pr-1"}
    assert preview.labels_of("pr-1", {"team": "web"}, None, "mydb") == {
        "team": "web",
        "preview": "pr-1",
        "preview-from": "mydb",
        "preview-copy": "pending",
    }


def test_labels_hold_no_password() -> None:
    labels = preview.labels_of("pr-1", "", None, "postgresql://me:s3cret@db.example.com:5432/shop?password=s3cret")
    assert labels["preview-from"] == "db.example.com"
    assert "ss" not in preview.labels_of("pr-1", "", None, "postgresql://u:pa/ss@h/db")["preview-from"], (
        "not escaped as it should be"
    )


def test_labels_of_a_preview_that_is_there() -> None:
    """A copy is made once, of what was there at first; what was not copied at first never is."""
    copied = {"preview": "pr-1", "preview-from": "mydb", "preview-copy": "done", "team": "web"}
    assert preview.labels_of("pr-1", "", copied, "other") == copied
    assert preview.labels_of("pr-1", {"team": "app"}, copied, "other") == copied | {"team": "app"}
    pending = copied | {"preview-copy": "pending"}
    assert preview.labels_of("pr-1", "", pending, "mydb") == pending
    assert preview.labels_of("pr-1", "", pending, "other") == pending | {"preview-from": "other"}, (
        "the first was a mistake, perhaps"
    )
    assert preview.labels_of("pr-1", "", {"preview": "pr-1"}, "mydb") == {"preview": "pr-1"}
    forged = {"preview": "other", "preview-copy": "pending", "preview-from": "x"}
    assert preview.labels_of("pr-1", forged, {"preview": "pr-1"}, "") == {"preview": "pr-1"}
