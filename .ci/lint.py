#!/usr/bin/env python3
"""The house rules that neither the compiler nor the formatter checks.

    .ci/lint.py [PATH...]         every file of the project by default

An exception is written beside the code, on the line itself or just above it, with its reason:

    // LINT: allow task, because the reason
"""

import ast
import bisect
import functools
import json
import os
import re
import subprocess
import sys

FILE_LIMIT = 500
FUNCTION_LIMIT = 60

# Imports point down only: a target may import the project's targets of a lower rank.
LAYERS = {
    "CBlockCache": -1,
    "CNonBlockingIO": 0,
    "CHTTPScanner": 0,
    "COpenSSL": 0,
    "CNGHTTP2": 0,
    "CAres": 0,
    "AsyncTransport": 1,
    "HTTPCodecs": 1,
    "AsyncConnectors": 2,
    "PrometheusMetrics": 2,
    "AsyncPingora": 3,
    "AsyncPingoraMetrics": 4,
    "AsyncPingoraTesting": 4,
    "AsyncPingoraAdmin": 4,
    "AsyncPingoraConfiguration": 4,
    "Demo": 5,
}

# Where unstructured tasks and Foundation are nobody's harm: programs and tests, never the libraries.
UNRESTRICTED = ("Sources/Demo/", "Tests/", "Benchmarks/", "Examples/", "Fuzz/")

MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:work/|root/|home/\w|Users/\w|opt/swift|tmp/(?:wt|spec|bash_jobs))")
OPEN_WORK = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")
UNSTRUCTURED = re.compile(r"(?<![\w.])Task(?:<[^>]*>)?\s*(?:\([^)]*\)\s*)?\{|\bTask\.(?:detached|immediateDetached|immediate)\b")
UNSAFE = re.compile(r"\bunsafe\b(?!\s*[:(,)])")
PROMISE = re.compile(r"@unchecked\s+Sendable|nonisolated\(unsafe\)|@exclusivity\(unchecked\)")
IMPORT = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?import\s+"
                    r"(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)")
EXCEPTION = re.compile(r"LINT: allow (\w+), because \S")
TYPE_HEAD = re.compile(r"\b(?:class|struct|enum|actor|extension|protocol)\s+\w+")
FUNCTION_HEAD = re.compile(r"\b(?:func\s|init\b|deinit\b|subscript\b)|\b(?:var)\s+\w+")
STORED = re.compile(r"^\s*(?:[@\w()]+\s+)*(?:let|var)\s")


class Swift:
    """A Swift file with its comments and string literals blanked out, and its blocks."""

    def __init__(self, text):
        self.lines = text.splitlines()
        self.code, self.comments = blank(text)
        self.code_lines = self.code.splitlines()
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self.blocks = list(self._find_blocks())

    def line_of(self, offset):
        """The line, from zero, that holds an offset."""
        return bisect.bisect_right(self._starts, offset) - 1

    def _find_blocks(self):
        # (kind, first line of the head, line of the closing brace)
        stack, head = [], 0
        for match in re.finditer(r"[{};]|\n(?=\s*\n)", self.code):
            sign = match.group()
            if sign == "{":
                text = self.code[head : match.start()]
                stripped = text.lstrip()
                start = self.line_of(head + len(text) - len(stripped))
                stack.append((self._kind(self._declaration(stripped)), start + self._skipped(stripped)))
            elif sign == "}" and stack:
                kind, start = stack.pop()
                yield kind, start, self.line_of(match.start())
            head = match.end()

    @staticmethod
    def _declaration(text):
        # Statements before the declaration end with their line: what opens the block starts at the last declaration.
        starts = [m.start() for m in re.finditer(r"(?m)^.*", text) if TYPE_HEAD.search(m.group()) or FUNCTION_HEAD.search(m.group())]
        return text[starts[-1] :] if starts else text

    def _skipped(self, text):
        return text[: len(text) - len(self._declaration(text))].count("\n")

    @staticmethod
    def _kind(head):
        opened = re.sub(r"\([^()]*\)", "()", head)
        if re.search(r"[=]\s*$", opened) or re.search(r"=\s*[\w.]*\s*(?:\(\))?\s*$", opened.split("{")[-1]) and "func" not in head:
            return "inner"
        first = head.split("\n", 1)[0]
        if TYPE_HEAD.search(first) and not re.search(r"\bclass (?:func|var)\b", first):
            return "type"
        if FUNCTION_HEAD.search(first):
            return "function"
        return "inner"

    def covered_lines(self):
        """Lines for which a SAFETY comment speaks: see `check_unsafe`."""
        covered = set()
        for line, comment in self.comments.items():
            if "SAFETY:" not in comment:
                continue
            covered.update(range(line, line + 6))
            inside = [b for b in self.blocks if b[1] < line < b[2]]
            functions = [b for b in inside if b[0] == "function"]
            if functions:
                block = max(functions, key=lambda b: b[1])
                covered.update(range(block[1], block[2] + 1))
                continue
            follower = self._next_code_line(line)
            opened = [b for b in self.blocks if b[1] == follower and b[0] != "inner"]
            types = [b for b in inside if b[0] == "type"]
            if opened:
                self._cover(max(opened, key=lambda b: b[2]), covered)
            elif types and follower is not None and STORED.match(self.code_lines[follower]):
                self._cover(max(types, key=lambda b: b[1]), covered)
        return covered

    def _cover(self, block, covered):
        # What is said of a type holds in its extensions beside it.
        name = self._type_name(block)
        for other in self.blocks:
            if other == block or (name and self._type_name(other) == name):
                covered.update(range(other[1], other[2] + 1))

    def _type_name(self, block):
        match = TYPE_HEAD.search(self.code_lines[block[1]]) if block[0] == "type" else None
        return match and re.search(r"(\w+)$", match.group()).group(1)

    def _next_code_line(self, line):
        for number in range(line, len(self.code_lines)):
            text = self.code_lines[number].strip()
            if text and not re.fullmatch(r"@\w+(?:\([^)]*\))?", text):
                return number
        return None

    def allows(self, line, rule):
        """Whether an exception for the rule is written at the line or just above it."""
        for number in (line, line - 1, line - 2):
            match = EXCEPTION.search(self.comments.get(number, ""))
            if match and match.group(1) == rule:
                return True
        return False


def blank(text):
    """The text with comments and literals replaced by spaces, and the comments by line."""
    out, comments, i = list(text), {}, 0

    def wipe(start, end):
        for k in range(start, end):
            if out[k] != "\n":
                out[k] = " "

    while i < len(text):
        if text.startswith("//", i):
            end = text.find("\n", i)
            end = len(text) if end < 0 else end
            line = text.count("\n", 0, i)
            comments[line] = text[i:end]
            wipe(i, end)
        elif text.startswith("/*", i):
            end = text.find("*/", i)
            end = len(text) if end < 0 else end + 2
            wipe(i, end)
        elif (opening := re.match(r'#*"""|#*"', text[i:])) is not None and text[i] in '#"':
            end = end_of_literal(text, i, opening.group())
            wipe(i, end)
        else:
            i += 1
            continue
        i = end
    return "".join(out), comments


def end_of_literal(text, start, opening):
    """The offset behind a string literal, interpolations and the literals in them included."""
    hashes = opening.count("#")
    closing = opening.lstrip("#") + "#" * hashes
    escape = "\\" + "#" * hashes
    i = start + len(opening)
    while i < len(text):
        if text.startswith(closing, i):
            return i + len(closing)
        if text.startswith(escape + "(", i):
            depth, i = 1, i + len(escape) + 1
            while i < len(text) and depth:
                inner = re.match(r'#*"""|#*"', text[i:])
                if inner:
                    i = end_of_literal(text, i, inner.group())
                    continue
                depth += {"(": 1, ")": -1}.get(text[i], 0)
                i += 1
        elif text.startswith(escape, i):
            i += len(escape) + 1
        elif text[i] == "\n" and '"""' not in opening:
            return i
        else:
            i += 1
    return i


def check_blocks(path, swift):
    """Function lengths."""
    for kind, first, last in swift.blocks:
        # A table is no code: a property whose whole body is one literal may be as long as the table is.
        body = "\n".join(swift.code_lines[first : last + 1]).partition("{")[2].rpartition("}")[0].strip()
        if body.startswith("[") and body.endswith("]"):
            continue
        if kind == "function" and last - first + 1 > FUNCTION_LIMIT and not swift.allows(first, "length"):
            yield first, f"this function has {last - first + 1} lines, more than {FUNCTION_LIMIT}: split it"


def check_unsafe(path, swift):
    """What the compiler cannot check says why it holds.

    A SAFETY comment speaks for the function it stands in or before; before a stored property, or before a type, for the
    type. A promise (@unchecked Sendable, nonisolated(unsafe)) has one of its own: in the lines above it, or as the first line of the
    type's body. What a type says of itself also speaks for its properties without exclusivity checks.
    """
    if not path.startswith("Sources/"):
        return
    covered = swift.covered_lines()
    told = set()
    spoken = [line for line, comment in swift.comments.items() if "SAFETY:" in comment]
    for number, line in enumerate(swift.code_lines):
        promise = PROMISE.search(line)
        if promise and "exclusivity" in promise.group() and number in covered:
            continue
        if promise and not any(-6 <= near - number <= 1 for near in spoken):
            yield number, f"`{promise.group()}` without a `// SAFETY:` comment beside it"
        elif not promise and UNSAFE.search(line) and number not in covered:
            # Once per function is enough to be told.
            block = max((b for b in swift.blocks if b[0] == "function" and b[1] <= number <= b[2]), key=lambda b: b[1], default=None)
            if block in told:
                continue
            told.add(block or number)
            yield number, "`unsafe` without a `// SAFETY:` comment in this function, or at the property or type it is about"


@functools.cache
def declared_dependencies():
    """What each target may import of packages and of this one, as Package.swift says.

    SwiftPM 6.3.1's --explicit-target-dependency-import-check lets an import pass whose module another target has built.
    """
    dump = subprocess.run(["swift", "package", "dump-package"], capture_output=True, text=True, check=True).stdout
    declared = {}
    for target in json.loads(dump)["targets"]:
        names = [next(d[kind][0] for kind in ("byName", "target", "product") if kind in d) for d in target["dependencies"]]
        declared[target["name"]] = set(names)
    return declared, set().union(*declared.values())


def check_dependencies(path, swift):
    """Imports that the target's entry in Package.swift does not name."""
    if not path.startswith(("Sources/", "Tests/")):
        return
    declared, known = declared_dependencies()
    target = path.split("/")[1]
    for number, line in enumerate(swift.code_lines):
        match = IMPORT.match(line)
        if match and match.group(1) in known - declared.get(target, known):
            yield number, f"{target} imports {match.group(1)}, which its entry in Package.swift does not name"


def check_formatter(path, swift):
    """What the formatter breaks."""
    for number, line in enumerate(swift.code_lines):
        if re.search(r"\bfor\s+unsafe\s*\w+\s+in\b", line):
            yield number, "`for unsafe x in`: swift format 6.3.1 drops the space behind `unsafe`; use `while let`"


def check_names(path, swift):
    """Unstructured tasks, Foundation, imports that point up."""
    target = path.split("/")[1] if path.startswith("Sources/") else None
    for number, line in enumerate(swift.code_lines):
        if not path.startswith(UNRESTRICTED) and UNSTRUCTURED.search(line) and not swift.allows(number, "task"):
            yield number, "an unstructured task: use a child of the task group you hold (or `// LINT: allow task, because ...`)"
        match = IMPORT.match(line)
        if match is None:
            continue
        module = match.group(1)
        if module.startswith("Foundation") and not path.startswith(UNRESTRICTED) and not swift.allows(number, "foundation"):
            yield number, "Foundation in a library: Glibc and the standard library suffice"
        if target is None or module not in LAYERS:
            continue
        if target not in LAYERS:
            yield number, f"the target {target} has no layer yet: give it one in .ci/lint.py"
        elif LAYERS[module] >= LAYERS[target]:
            yield number, f"{target} imports {module}, which is not below it (docs/architecture.md, the layers)"


def check_swift(path, text):
    """Everything that is asked of a Swift file."""
    swift = Swift(text)
    for check in (check_blocks, check_unsafe, check_formatter, check_names, check_dependencies):
        yield from check(path, swift)


def check_python(path, text):
    """Function lengths of the scripts."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LIMIT:
                yield node.lineno - 1, f"this function has {length} lines, more than {FUNCTION_LIMIT}: split it"


def check_text(path, text):
    """What is asked of every file."""
    lines = text.splitlines()
    if path.endswith((".swift", ".c", ".h", ".py", ".sh")) and len(lines) > FILE_LIMIT:
        yield len(lines) - 1, f"this file has {len(lines)} lines, more than {FILE_LIMIT}: split it"
    if path == ".ci/lint.py":
        return
    for number, line in enumerate(lines):
        if OPEN_WORK.search(line) and not path.endswith(".md"):
            yield number, "open work without its issue: write TODO(#123)"
        nearby = "\n".join(lines[max(0, number - 2) : number + 1])
        if MACHINE_PATH.search(line) and "LINT: allow path, because" not in nearby:
            yield number, "a path of one machine"


def check_quotes(path, text):
    """Code that a page quotes is the code of the file that is built: ``<!-- quoted: FILE -->``, then the block."""
    for match in re.finditer(r"<!-- quoted: (\S+) -->\n+```\w*\n(.*?)```\n", text, re.DOTALL):
        line = text.count("\n", 0, match.start())
        try:
            with open(match.group(1), encoding="utf-8") as file:
                quoted = file.read()
        except OSError:
            yield line, f"{match.group(1)} cannot be read, so it cannot be quoted"
            continue
        if quoted != match.group(2):
            yield line, f"this code is not that of {match.group(1)}: copy the file into the block"
    if path == "README.md" and "<!-- quoted: Examples/FirstProxy/main.swift -->" not in text:
        yield 0, "the example must be quoted from Examples/FirstProxy/main.swift"


def project_files():
    """What git knows or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    return sorted({name for name in listing.stdout.split("\0") if name and os.path.isfile(name)})


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [os.path.relpath(path) for path in sys.argv[1:]] or project_files()
    findings = 0
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue
        if path.startswith("Fuzz/") and "corpus" in path.lower():
            continue
        found = list(check_text(path, text))
        if path.endswith(".swift"):
            found += check_swift(path, text)
        elif path.endswith(".py"):
            found += check_python(path, text)
        elif path.endswith(".md"):
            found += check_quotes(path, text)
        for line, message in sorted(found):
            print(f"{path}:{line + 1}: {message}")
        findings += len(found)
    print(f"lint: {len(paths)} files, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
