"""A wait that ends when it is cancelled, whatever else happens in that moment."""

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set within so many seconds.

    Not by asyncio.wait_for(): in Python 3.11 that loses a cancellation which comes in the turn of the loop in
    which the event was set (bpo-42130, mended in 3.12), and who waits in a loop goes on for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
