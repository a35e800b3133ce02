"""What MkDocs loads before it builds: the search cuts Chinese words by jieba, which tells that as if it were an error."""

import logging

import jieba

jieba.setLogLevel(logging.WARNING)
