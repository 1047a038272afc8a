"""What goes wrong on the way to Amazon: botocore's errors as ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from llmrr.engines.remote import faults
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.faults import Party
from llmrr.errors import (
    AuthenticationFailed,
    BadConfig,
    ConnectionFailed,
    EngineFailed,
    LlmrrError,
    Unreachable,
)

NO_KEYS: Final = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError",
                  "UnauthorizedSSOTokenError", "SSOTokenLoadError", "ProfileNotFound")  # fmt: skip
# The statuses of errors in mid-answer.
_STATUSES: Final = {
    "throttlingException": 429, "serviceUnavailableException": 503, "validationException": 400,
    "modelStreamErrorException": 424, "internalServerException": 500,
}  # fmt: skip


@contextmanager
def translated(party: Party, deadlines: Deadlines | None) -> Iterator[None]:
    """botocore's errors as ours; ``deadlines`` are those of an answer under way."""
    from botocore import eventstream, exceptions
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    try:
        yield
    except LlmrrError:
        raise
    except exceptions.ClientError as error:  # those in mid-answer, too
        raise _refused(party, error) from None
    except (exceptions.ReadTimeoutError, ReadTimeoutError, TimeoutError):
        assert deadlines is not None
        raise deadlines.error(party) from None
    except exceptions.NoRegionError:
        raise BadConfig(f"{party.name} needs a region", "export AWS_REGION=us-east-1") from None
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        if isinstance(error, exceptions.ConnectionClosedError):
            raise party.broken("broke off: the connection was closed") from None
        said = party.clean(str(error))
        raise ConnectionFailed(f"{party.name} cannot be reached: {said}", "try again") from None
    except exceptions.ParamValidationError as error:
        raise EngineFailed(f"{party.name}: {party.clean(str(error))}") from None
    except exceptions.BotoCoreError as error:
        if type(error).__name__ in NO_KEYS:
            said = f"{party.name} needs keys: {party.clean(str(error))}"
            raise Unreachable(said, "aws configure") from None
        raise EngineFailed(f"{party.name}: {party.clean(str(error))}") from None
    except eventstream.ParserError as error:
        raise party.broken(f"is not what the protocol has: {error}") from None
    except (HTTPError, OSError, ValueError) as error:
        raise party.broken(f"broke off: {type(error).__name__}") from None


def _refused(party: Party, error: Any) -> LlmrrError:
    told = error.response.get("Error") or {}
    about = error.response.get("ResponseMetadata") or {}
    code = str(told.get("Code") or "")
    status = about.get("HTTPStatusCode") or _STATUSES.get(code, 500)
    if status == 200:
        status = _STATUSES.get(code, 500)
    document = json.dumps({"message": told.get("Message") or code, "code": code}).encode()
    found = faults.of_status(party, status, document, about.get("HTTPHeaders") or {})
    if isinstance(found, AuthenticationFailed):
        found.hint = "aws sts get-caller-identity"
    return found
