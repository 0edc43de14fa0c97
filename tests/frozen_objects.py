"""The service; at its end it prints how many objects the garbage collector never visits."""

import atexit
import gc

from game_api.__main__ import main

if __name__ == "__main__":
    atexit.register(lambda: print("frozen objects:", gc.get_freeze_count()))
    main()
