"""A biased judge with faults behind an OpenAI-compatible endpoint on a loopback port, as a process of its own.

It finds the reply in the prompt and knows what people would say of it (`qualities.py`). It overrates half of them,
follows its faults by a hash of the prompt and of how often it was asked, and appends a line to a file for each answer
that it completed.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from hashlib import blake2b
from pathlib import Path

from aiohttp import web
from qualities import draw, quality_of

FAULTS = {"http_429": 10, "cut": 8, "prose": 25, "fence": 15, "refusal": 4, "off_scale": 4}  # of a hundred
asked: Counter[str] = Counter()


def choose_fault(prompt: str) -> str:
    point = draw(prompt, asked[prompt])
    for fault, share in FAULTS.items():
        point -= share
        if point < 0:
            return fault
    return "none"


def verdict(prompt: str, fault: str) -> str:
    [reply] = re.findall(r"待评价的回复：\n(.*?)\n\n只输出", prompt, re.DOTALL)
    quality = quality_of(reply)
    seen = min(2, quality + (draw(prompt, "bias") < 50))
    scores = {
        "content": 7 if fault == "off_scale" else seen,
        "empathy": seen,
        "helpfulness": quality,
        "safety": int(seen > 0),
    }
    answer = json.dumps({"reason": "好", **scores}, ensure_ascii=False)
    if fault == "refusal":
        return "很抱歉，我无法评价这段对话。"
    return {"prose": f"先看这条回复。\n{answer}\n以上。", "fence": f"```json\n{answer}\n```"}.get(fault, answer)


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    prompt = body["messages"][-1]["content"]
    asked[prompt] += 1
    fault = choose_fault(prompt)
    await asyncio.sleep(0.01)
    if fault == "http_429":
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.02"})
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": verdict(prompt, fault)}}
    usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
    answer = json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }
    ).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(answer))})
    await response.prepare(request)
    if fault == "cut":
        await response.write(answer[: len(answer) // 2])
        request.transport.abort()
        return response
    await response.write(answer)
    with request.app["log"].open("a", encoding="utf-8") as log:
        log.write(blake2b(prompt.encode(), digest_size=8).hexdigest() + "\n")
    return response


async def serve(log: Path) -> None:
    app = web.Application()
    app["log"] = log
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(serve(Path(sys.argv[1])))
