"""The recipe that Portcullis succeeds, as it is meant to be run: FastAPI under Granian, Starlette's signed session cookie,
roles from Postgres by asyncpg behind a cache of five minutes. Sign-in itself is left out: the benchmark brings a cookie.

`python app.py cookie` prints one.
"""

import os
import sys
import time
from base64 import b64encode
from contextlib import asynccontextmanager
from json import dumps
from pathlib import Path

import asyncpg
import itsdangerous
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware

SECRET = "a secret that only this benchmark knows"
EMAIL = "ada.byron@contoso.example"
CLAIMS = {
    "aud": "22222222-3333-4444-8555-666666666666",
    "iss": "http://localhost/11111111-2222-4333-8444-555555555555/v2.0",
    "name": "Ada Byron",
    "email": EMAIL,
    "oid": "33333333-4444-4555-8666-777777777777",
    "preferred_username": EMAIL,
    "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
    "tid": "11111111-2222-4333-8444-555555555555",
    "ver": "2.0",
}
PUBLIC = ["/login", "/callback", "/logout", "/docs", "/redoc", "/openapi.json"]
ROLE_SECONDS = 300


def cookie() -> str:
    """What Starlette's session middleware hands out after a sign-in."""
    payload = b64encode(dumps({"user": CLAIMS}).encode())
    return itsdangerous.TimestampSigner(SECRET).sign(payload).decode()


if len(sys.argv) > 1 and sys.argv[1] == "cookie":
    print(f"session={cookie()}")
    raise SystemExit

pool: asyncpg.Pool
roles: dict[str, tuple[str | None, float]] = {}
pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape())
catalogue = pages.get_template("catalogue.html")


@asynccontextmanager
async def lifespan(_: FastAPI):
    global pool
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=8)
    yield
    await pool.close()


class Gate(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next):
        path = request.url.path
        if any(path.startswith(public) for public in PUBLIC):
            return await call_next(request)
        if not request.session.get("user"):
            if path.startswith("/api/"):
                return Response(status_code=401)
            return RedirectResponse(f"/login?redirect_uri={path}")
        return await call_next(request)


app = FastAPI(lifespan=lifespan)
# Starlette runs the middleware that was added last first.
app.add_middleware(Gate)
app.add_middleware(SessionMiddleware, secret_key=SECRET, max_age=24 * 60 * 60)


def email_of(request: Request) -> str:
    email = request.session.get("user", {}).get("email")
    if not email:
        raise HTTPException(401, "Unauthorized")
    return email.lower()


async def role_of(request: Request) -> str | None:
    email = email_of(request)
    known = roles.get(email)
    now = time.monotonic()
    if known and known[1] > now:
        return known[0]
    async with pool.acquire() as connection:
        row = await connection.fetchrow("SELECT role FROM dim.user_roles WHERE email = $1", email)
    role = row["role"] if row else None
    roles[email] = (role, now + ROLE_SECONDS)
    return role


async def require_role(request: Request) -> str:
    role = await role_of(request)
    if not role:
        raise HTTPException(403, "Forbidden")
    return role


async def rows() -> list[dict]:
    async with pool.acquire() as connection:
        found = await connection.fetch(
            "SELECT path, name, size, modified_at, sha256, title, owner FROM dim.items"
            " WHERE folder = '' AND missing_since = 0 ORDER BY sort_key, id LIMIT 20"
        )
    return [dict(row) for row in found]


@app.get("/api/me")
async def me(request: Request, role: str = Depends(require_role)):
    return {"email": email_of(request), "name": request.session["user"]["name"], "role": role}


@app.get("/api/items")
async def items(_: str = Depends(require_role)):
    return await rows()


@app.get("/")
async def index(request: Request, role: str = Depends(require_role)):
    return HTMLResponse(catalogue.render(email=email_of(request), role=role, items=await rows()))
