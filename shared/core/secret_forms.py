"""Secrets that are recognised by their form alone, whatever name they have. Patterns of `re`."""

#: Tokens that GitHub, Hugging Face and GitLab issue.
OF_CODE_HOSTS = r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|hf_[A-Za-z0-9]{30,}|glpat-[\w-]{20,})"
CLIENT_SECRET = r"(?<![\w~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}"  #: of Entra ID
AI_SERVICES_KEY = r"\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{14,}\b"
