"""How prompts are written down outside: one pure module for each form, bytes in and plain records out.

gathering.py walks a path and decides which form each file has; plain.py, langfuse.py, openai.py and folder.py read one
form each; composing.py turns the records into versions as they will be stored.
"""
