"""The worker's own settings, with the test providers: for workers that tests start as processes."""

import json
import os

from voiceplatform.settings.worker import *  # noqa: F403

VP_TEST_PROVIDERS = True
VP_TEST_RULES = json.loads(os.environ.get("VP_TEST_RULES", "[]"))
VP_TEST_HEARS = json.loads(os.environ.get("VP_TEST_HEARS", "[]"))
