"""What callers and workers declare by aio-pika: the requests, and every region's replies."""

from shared import REGIONS

REQUESTS = "python-service-queue"


def replies(region):
    return f"rpc-replies.{region}"


async def declare(channel, consumed):
    """Declares all of them, and gives the one that is consumed."""
    names = [REQUESTS, *map(replies, REGIONS)]
    return {name: await channel.declare_queue(name, durable=True) for name in names}[consumed]
