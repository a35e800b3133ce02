"""What MkDocs loads before it builds: its search cuts Chinese words by jieba, which reports that as an error."""

import logging

import jieba

jieba.setLogLevel(logging.WARNING)
