"""Archives of many scenes: which are done, which still need restoring, and which cannot be
restored.
"""
