"""What all kinds' models have in common: metadata, and how one is read from what the API server sends."""

from typing import Self

from pydantic import ValidationError

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.meta import Meta
from rowlock_operator.api.model import ApiModel
from rowlock_operator.errors import InvalidSpec


class UserObject(ApiModel):
    """An object of one of our kinds."""

    metadata: Meta

    @classmethod
    def parse(cls, manifest: Manifest) -> Self:
        """The object; unknown fields are ignored. Raises InvalidSpec with the first wrong field, the one
        place where a validation error becomes a sentence.
        """
        # A status is our own words: an older or newer operator's odd one must not keep the spec from being
        # read.
        try:
            return cls.model_validate(manifest)
        except ValidationError as wrong:
            if all(error["loc"][:1] == ("status",) for error in wrong.errors()):
                return cls.model_validate({key: value for key, value in manifest.items() if key != "status"})
            first = next(error for error in wrong.errors() if error["loc"][:1] != ("status",))
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidSpec(
                field, f"{first['msg']}. Correct this field; `kubectl explain` describes it."
            ) from wrong
