"""Reduces news to what matters: a model's tags, which may be thousands, to those that routes require, and a job's to
the promotion that it belongs to."""

from typing import TYPE_CHECKING

from shared.core.awaiting import PROMOTION
from shared.core.messages import EndpointAlert, JobEnded, MonitorBreached, News, relevant_tags
from shared.core.replacing import replace

if TYPE_CHECKING:
    from shared.config import Configuration


def relevant(news: News, configuration: "Configuration") -> News:
    """The news with only the tags that matter."""
    if isinstance(news, MonitorBreached | EndpointAlert):
        return news
    asked = configuration.tags_asked_for(news.workspace)
    of_ours = {PROMOTION} if isinstance(news, JobEnded) else set()
    return replace(news, tags=relevant_tags(news.tags, asked | of_ours))
