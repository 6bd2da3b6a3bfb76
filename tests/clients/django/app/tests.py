# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from django.test import TestCase

from app.models import Book


class BookTest(TestCase):
    def test_is_kept_for_this_test_only(self) -> None:
        assert not Book.objects.exists()
        Book.objects.create(title="a")
        assert Book.objects.count() == 1
