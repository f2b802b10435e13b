"""What all tests share: property tests draw the same examples in every run, and no test is judged by the clock."""

from hypothesis import settings

settings.register_profile("makeweight", deadline=None, derandomize=True)
settings.load_profile("makeweight")
