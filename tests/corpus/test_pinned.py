import pytest
from scalelaws.corpus.pinned import is_test, pinned_packages
from scalelaws.errors import InputError

from .conftest import PINS


def test_a_package_is_its_own_files_and_no_others():
    (package,) = pinned_packages(PINS, ["Jinja2"])
    assert package.name == "jinja2"
    names = [name for name, path in package.with_suffix(".py") if path.is_file()]
    assert "jinja2/environment.py" in names and names == sorted(names)
    assert all(name.startswith("jinja2") for name in names)


def test_the_standard_library_counts_as_a_package_without_what_is_installed_in_it():
    (package,) = pinned_packages(PINS, ["python"])
    assert "json/decoder.py" in package.files
    assert not any("site-packages" in name for name in package.files)


def test_exclusion_leaves_the_others_whatever_the_spelling():
    assert [package.name for package in pinned_packages(PINS, ["click", "typing_extensions", "rich"], ["Rich"])] == [
        "click",
        "typing-extensions",
    ]


def test_a_name_that_is_not_pinned_is_refused():
    with pytest.raises(InputError, match=r"no-such-package: not pinned in .*requirements"):
        pinned_packages(PINS, ["no_such.package"])


def test_another_version_than_the_pinned_one_is_refused(tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("jinja2==0.0.1\n")
    with pytest.raises(InputError, match=r"jinja2: version 3.* is installed, 0.0.1 is pinned"):
        pinned_packages(pins, ["jinja2"])
    pins.write_text("no-such-package==1.0\n")
    with pytest.raises(InputError, match=r"is not installed\. Run `pip install"):
        pinned_packages(pins, ["no-such-package"])


@pytest.mark.parametrize("name", ["a/tests/b.py", "a/test_b.py", "test/a.py", "a/conftest.py"])
def test_tests_are_told_from_code(name):
    assert is_test(name)
    assert not is_test(name.replace("test", "best").replace("conf", "konf"))
