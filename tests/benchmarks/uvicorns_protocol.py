"""Runs the service with the HTTP protocol of uvicorn, for comparison."""

from unittest.mock import patch

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from game_api import __main__

with patch.object(__main__, "Http11Protocol", HttpToolsProtocol):
    __main__.main()
