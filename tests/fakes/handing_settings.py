"""Settings of a test's worker that hands calls over."""

import json
import os

from tests.fakes.worker_settings import *  # noqa: F403
from tests.fakes.worker_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.fakes.handing.HandingConfig"]
VP_TEST_TRANSFERS = json.loads(os.environ["VP_TEST_TRANSFERS"])
VP_TEST_REASON = os.environ["VP_TEST_REASON"]
