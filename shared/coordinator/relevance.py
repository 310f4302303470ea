"""Reduces news to what matters: of a model's tags, which may be thousands, only those that routes require."""

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.messages import News, relevant_tags

if TYPE_CHECKING:
    from shared.config import Configuration


def relevant(news: News, configuration: "Configuration") -> News:
    """The news with only the tags that routes require."""
    return replace(news, tags=relevant_tags(news.tags, configuration.tags_asked_for(news.workspace)))
