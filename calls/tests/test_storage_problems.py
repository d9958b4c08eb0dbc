"""What keeps a storage from taking a file, as vendors' clients tell it, and what is shown of it."""

import errno

import pytest
import requests
from google.api_core import exceptions as gcs
from google.auth import exceptions as auth

from calls.storage_problems import PROBLEMS, CopyDiffersError, problem_of


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (gcs.NotFound("The specified bucket does not exist."), "no_bucket"),
        (gcs.Unauthorized("Invalid Credentials"), "key_refused"),
        (gcs.Forbidden("does not have storage.objects.create access"), "forbidden"),
        (gcs.ServiceUnavailable("try later"), "unreachable"),
        (gcs.TooManyRequests("slow down"), "unreachable"),
        (gcs.BadRequest("no"), "failed"),
        (gcs.RetryError("timed out", cause=gcs.NotFound("bucket")), "no_bucket"),
        (auth.RefreshError("invalid_grant: Invalid JWT Signature."), "key_refused"),
        (auth.TransportError("no route"), "unreachable"),
        (requests.exceptions.ConnectionError("refused"), "unreachable"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "unreachable"),
        (TimeoutError(), "unreachable"),
        (OSError(errno.ENOSPC, "No space left on device"), "full"),
        (PermissionError(errno.EACCES, "denied"), "forbidden"),
        (CopyDiffersError("differs"), "differs"),
        (ValueError("odd"), "failed"),
    ],
)
def test_what_an_error_means(error: Exception, problem: str) -> None:
    assert problem_of(error) == problem
    assert PROBLEMS[problem].next_step
