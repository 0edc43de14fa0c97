"""The other right way to join: one findAndModify for each join, with the rule as its filter.

Everything else is like `models_only`, also that the player is claimed before.
"""

from typing import Any

from fastapi import FastAPI, HTTPException
from pymongo import ReturnDocument

from tests.benchmarks.peers import models_only
from tests.benchmarks.peers.bodies import now
from tests.benchmarks.peers.models_only import Session, ShownSession, claim, release

app = FastAPI(lifespan=models_only.lifespan)


@app.put("/api/v1/sessions/{session_id}/players/{player_id}", status_code=201)
async def join_session(session_id: str, player_id: str) -> ShownSession:
    token, moment = await claim(player_id, session_id), now()
    member: dict[str, Any] = {"player_id": player_id, "team": None, "ready": False}
    document = await models_only.sessions.find_one_and_update(
        {
            "_id": session_id,
            "status": "waiting",
            "free_slots": {"$gt": 0},
            "members.player_id": {"$ne": player_id},
        },
        {
            "$push": {"members": member | {"joined_at": moment, "claim": token}},
            "$inc": {"free_slots": -1, "version": 1, "revision": 1},
            "$set": {"updated_at": moment},
        },
        return_document=ReturnDocument.AFTER,
    )
    if document is None:
        await release(player_id, token)
        raise HTTPException(409, "session_full")
    return ShownSession.of(Session.model_validate_doc(document))


app.include_router(models_only.app.router)  # The first route that matches a request answers it.
