"""Two things of libpq that psycopg2 has no name for: to send a statement without waiting for its answer, and
to read the answer later.

Between the two nothing else may use the connection: psycopg2 does not know that an answer is on its way.
Called through the library that psycopg2 itself is linked to, on the pointer that it hands out for this
purpose (`connection.pgconn_ptr`).
"""

import ctypes
from typing import Any

import psycopg2._psycopg
import psycopg2.extensions

_library = ctypes.CDLL(psycopg2._psycopg.__file__)  # looks in what it is linked to as well
_COMMAND_OK, _TUPLES_OK = 1, 2  # ExecStatusType


def _function(name: str, result: type | None, *arguments: type) -> Any:
    function = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function


_send_query = _function("PQsendQuery", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_get_result = _function("PQgetResult", ctypes.c_void_p, ctypes.c_void_p)
_result_status = _function("PQresultStatus", ctypes.c_int, ctypes.c_void_p)
_clear = _function("PQclear", None, ctypes.c_void_p)


def send(connection: psycopg2.extensions.connection, statements: str) -> bool:
    """Sends statements, without parameters, which are a transaction of their own; between two transactions.
    False: they cannot be sent.
    """
    return bool(_send_query(connection.pgconn_ptr, statements.encode()))


def succeeded(connection: psycopg2.extensions.connection) -> bool:
    """Reads the answers to what was sent, to the last one; waits for them. False where one of them is an
    error, or the connection is lost.
    """
    good = True
    while result := _get_result(connection.pgconn_ptr):
        good = good and _result_status(result) in (_COMMAND_OK, _TUPLES_OK)
        _clear(result)
    return good and connection.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
