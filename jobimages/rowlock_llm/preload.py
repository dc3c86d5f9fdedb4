"""Loads the client library at once: name this module in a WorkQueue's imports, and the worker pays for it
once instead of every child.
"""

import openai.resources.chat.completions

from rowlock_llm import transport

__all__ = ["openai", "transport"]
