"""What every section of runner.yml shares: closed, frozen, and a few kinds of values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A mapping of runner.yml: closed, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _headings(cls, content: Any) -> Any:
        """A heading with nothing below it, as `listen:`, is what it would be without it."""
        if not isinstance(content, dict):
            return content
        bare = {key for key, value in content.items() if value is None}
        for name, field in cls.model_fields.items():
            if isinstance(field.default, Section | tuple) and name in bare:
                content = {key: value for key, value in content.items() if key != name}
        return content


Text = Annotated[
    str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)
]


Finite = Annotated[float, Field(allow_inf_nan=False)]


AlertName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
