"""The peers: servers of the same resources, each in its own style, and as good as that allows.

They do not check permissions and have no log, except where they say so.
"""
