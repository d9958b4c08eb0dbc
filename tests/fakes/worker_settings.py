"""The worker's own settings, with the test providers: for workers that tests start as processes."""

from voiceplatform.settings.worker import *  # noqa: F403

VP_TEST_PROVIDERS = True
