"""What all tests share: the same random examples at every run of CI, new ones at every run elsewhere."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
