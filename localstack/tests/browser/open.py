"""Opens pages in Chromium, one after the other, and prints a line with the results of each.

    open.py HOST=ADDRESS,... URL...

A page is complete when its title is `done`; its results are then in its variable `results`. The first argument resolves
names; all other names are rejected, except those of this machine.
"""

import json
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.pop("QTWEBENGINE_CHROMIUM_FLAGS", None)

try:
    from PySide6.QtCore import QTimer, QUrl
    from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineProfile
    from PySide6.QtWidgets import QApplication
except ImportError as error:
    # The wheels contain Chromium, but not shared libraries of the system such as libnss3 and libxkbcommon.
    print(error, file=sys.stderr)
    sys.exit(77)

PATIENCE = 180_000

names, urls = sys.argv[1], sys.argv[2:]
rules = [f"MAP {name} {address}" for name, address in (pair.split("=") for pair in names.split(","))]
rules += ["MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE *.localhost", "EXCLUDE 127.0.0.1", "EXCLUDE 127.0.0.2"]
# The pages are trusted, and Chromium has no sandbox for root.
flags = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={','.join(rules)}"]
application = QApplication([sys.argv[0], "--webEngineArgs", *flags])
profile = QWebEngineProfile()
page = QWebEnginePage(profile)


def next_page():
    if not urls:
        application.quit()
        return
    page.load(QUrl(urls.pop(0)))


def titled(title):
    if title == "done":
        page.runJavaScript("JSON.stringify(results)", shown)


def shown(results):
    print(json.dumps(json.loads(results)), flush=True)
    next_page()


def late():
    print(f"{page.url().toString()} timed out: {page.title()}", file=sys.stderr)
    application.exit(1)


page.titleChanged.connect(titled)
QTimer.singleShot(PATIENCE, late)
QTimer.singleShot(0, next_page)
code = application.exec()
del page
del profile
sys.exit(code)
