"""Runs the program that replaces one of fedctl's services: `main.py rpc-worker`."""

import importlib
import sys

PROGRAMS = {
    "products": "services",
    "indexer": "services",
    "taxes": "services",
    "rpc": "rpc_front",
    "rpc-worker": "rpc_worker",
    "compute-host": "compute_host",
    "payment": "payment",
    "profile": "users",
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PROGRAMS:
        sys.exit(f"main.py: exactly one of these is wanted: {', '.join(PROGRAMS)}")
    # One alone is loaded: Nameko's library patches the standard library, which the others do not tolerate.
    importlib.import_module(PROGRAMS[sys.argv[1]]).main()
