# SPDX-License-Identifier: GPL-2.0-only
"""Reads the kernel-doc comments of a C header, and checks them against the code below them.

A header gives a list of Items, in the order of the file. What is wrong with one (a parameter that
is not described, a description of nothing, a value that is returned and not explained) is in its
`problems`. The code is not parsed as C: declarations are found by their shape at the left margin,
which is what the headers of this tree keep to.
"""

import dataclasses
import re

SECTIONS = ("Context", "Return")
BLOCK = re.compile(r"^/\*\*(?!<)(.*?)\*/[ \t]*\n?", re.S | re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
INLINE = re.compile(r"/\*\*<?[\s*]*(@\w+:.*?)\*/", re.S)
LISTED = re.compile(r"^#define (\w+)\(name\) (.*)\n#include <(\S+)>\n#undef \1\n", re.M)
PRIVATE = re.compile(r"/\*\s*private:.*", re.S)      # of a struct: what follows is not for its users
PADDING = ("pad", "reserved")   # say all by their names


@dataclasses.dataclass
class Item:
	kind: str                       # doc, function, struct, enum, macro
	name: str
	line: int
	brief: str = ""
	declaration: str = ""           # function: prototype; macro: its value
	members: list = dataclasses.field(default_factory=list)   # (name, declaration) of parameters, fields, constants
	told: dict = dataclasses.field(default_factory=dict)      # name: Text
	text: list = dataclasses.field(default_factory=list)      # lines of free text
	sections: dict = dataclasses.field(default_factory=dict)  # Context, Return: text
	problems: list = dataclasses.field(default_factory=list)
	twin: str = ""                  # the struct that describes the same fields, see borrow()


@dataclasses.dataclass
class Text:
	"""What is said of one member; those that are functions have sections of their own."""
	text: str
	sections: dict


def bare(lines):
	"""Comment lines without their stars; tabs after the star stay."""
	return [re.sub(r"^\s*\*? ?", "", line, count=1).rstrip() for line in lines]


def body_of(lines):
	"""Split into ({@name: text}, free lines, {section: text}). A tag's text ends at an empty line."""
	told, free, sections, into = {}, [], {}, None
	for line in lines:
		tag = re.match(r"@(\w+|\.\.\.):\s*(.*)", line)
		section = re.match(rf"({'|'.join(SECTIONS)}):\s*(.*)", line)
		if tag:
			told[tag[1]] = tag[2]
			into = told, tag[1]
		elif section:
			sections[section[1]] = section[2]
			into = sections, section[1]
		elif not line:
			into = None
			free.append("")
		elif into:
			into[0][into[1]] += " " + line.strip()
		else:
			free.append(line)
	return told, free, sections


def inline_texts(code):
	"""The comments inside a struct or enum: {member: Text}."""
	found = {}
	for comment in INLINE.finditer(code):
		told, free, sections = body_of(bare(comment[1].split("\n")))
		name, text = next(iter(told.items()))
		found[name] = Text(" ".join([text, *free]).strip(), sections)
	return found


def declarator(text):
	"""The name that a field or parameter declares."""
	pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", text)
	name = pointer or re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?::\s*\d+)?$", text)
	return name[1] if name else text


def split(text, separator):
	"""Split at a separator that is in no bracket; pieces with their white space folded."""
	pieces, depth, piece = [], 0, ""
	for c in text:
		depth += (c in "([{") - (c in ")]}")
		if c == separator and not depth:
			pieces.append(piece)
			piece = ""
		else:
			piece += c
	return [" ".join(p.split()) for p in (*pieces, piece) if p.strip()]


def read_function(item, code):
	prototype = re.match(r"([\w\s*]+?\**)\b(\w+)\s*\((.*?)\)\s*;", COMMENT.sub("", code), re.S)
	if not prototype or prototype[2] != item.name:
		item.problems.append(f"{item.name}(): no such declaration follows")
		return
	item.declaration = " ".join(prototype[0].rstrip(";").split())
	item.members = [(declarator(p), p) for p in split(prototype[3], ",") if p != "void"]
	if prototype[1].strip() != "void" and "Return" not in item.sections:
		item.problems.append(f"{item.name}(): what it returns is not described")


def read_record(item, code):
	record = re.match(rf"{item.kind}\s+{item.name}\s*\{{(.*?)\n\}}", code, re.S)
	if not record:
		item.problems.append(f"{item.kind} {item.name}: no such declaration follows")
		return
	body = PRIVATE.sub("", record[1])
	item.told.update(inline_texts(body))
	plain = COMMENT.sub("", body)
	pieces = split(plain, "," if item.kind == "enum" else ";")
	if item.kind == "struct":       # several names after one type
		pieces = [q if not i else f"{p.split()[0]} {q}" for p in pieces for i, q in enumerate(split(p, ","))]
	item.members = [(re.match(r"\w+", p)[0] if item.kind == "enum" else declarator(p), p) for p in pieces]


def read_macro(item, code):
	macro = re.match(rf"#define\s+{item.name}\b[ \t]*(.*)", code)
	if not macro:
		item.problems.append(f"{item.name}: no such definition follows")
		return
	item.declaration = COMMENT.sub("", macro[1]).strip()


def compare(item):
	there = [name for name, _ in item.members]
	for name in there:
		if name not in item.told and name not in PADDING and not item.twin:
			item.problems.append(f"{item.name}: '{name}' is not described")
	for name in item.told:
		if name not in there:
			item.problems.append(f"{item.name}: '{name}' is described and does not exist")


def read_block(comment, code, line):
	lines = bare(comment.strip("\n").split("\n"))
	while lines and not lines[0]:
		lines.pop(0)
	title = re.match(r"DOC:\s*(.*)", lines[0])
	if title:
		return Item("doc", title[1], line, text=lines[1:])
	title = re.match(r"(?:(struct|enum)\s+)?(\w+)(\(\))?\s+-\s+(.*)", lines[0])
	if not title:
		return Item("doc", "", line, problems=[f"not a kernel-doc title: '{lines[0]}'"])
	kind = title[1] or ("function" if title[3] else "macro")
	item = Item(kind, title[2], line, brief=title[4])
	told, item.text, item.sections = body_of(lines[1:])
	item.told = {name: Text(text, {}) for name, text in told.items()}
	twin = re.match(r"see struct (\w+), field by field the same$", item.brief)
	item.twin = twin[1] if twin else ""
	{"function": read_function, "struct": read_record, "enum": read_record, "macro": read_macro}[kind](item, code)
	compare(item)
	return item


def undocumented(source, items):
	"""Public declarations at the left margin that no comment describes: (line, name)."""
	code = COMMENT.sub(lambda c: "\n" * c[0].count("\n"), source)
	known = {item.name for item in items}
	shapes = (r"^(?:struct|enum)\s+(\w+)\s*\{", r"^[a-z][\w \t*]*?\b(\w+)\([^;{]*\);")
	return [(code.count("\n", 0, found.start()) + 1, found[1])
		for shape in shapes for found in re.finditer(shape, code, re.M) if found[1] not in known]


def expand(source, include):
	"""Write out the entries of a header that is a list, at the lines where source defines their macro and includes it."""
	def entries(found):
		macro, text, header, lines = *found.groups(), found[0].count("\n")
		listed = re.findall(rf"^{macro}\((\w+)\)(,?)$", (include / header).read_text(encoding="utf-8"), re.M)
		return " ".join(re.sub(r"\bname\b", name, text) + comma for name, comma in listed) + "\n" * lines
	return LISTED.sub(entries, source)


def read(path):
	"""All Items of the header at path; what nothing describes comes as a doc Item with a problem."""
	source = expand(path.read_text(encoding="utf-8"), path.parent.parent)
	items = [read_block(block[1], source[block.end():], source.count("\n", 0, block.start()) + 1)
		for block in BLOCK.finditer(source)]
	for line, name in undocumented(source, items):
		items.append(Item("doc", "", line, problems=[f"{name} is not described"]))
	return items


def borrow(item, headers):
	"""For a struct that says it is field by field the same as another: take that one's descriptions."""
	for header in headers:
		for other in read(header) if item.twin in header.read_text(encoding="utf-8") else []:
			if (other.kind, other.name) != ("struct", item.twin):
				continue
			item.told = other.told
			if [name for name, _ in item.members] != [name for name, _ in other.members]:
				item.problems.append(f"{item.name}: its fields are not those of {other.name}")
			return
	item.problems.append(f"{item.name}: there is no struct {item.twin}")


def defines(path, prefix):
	"""The object-like macros that begin with prefix: (name, value, trailing comment)."""
	shape = re.compile(rf"^#define\s+({prefix}\w*)[ \t]+(.+?)[ \t]*(?:/\*\s*(.*?)\s*\*/)?$", re.M)
	return [found.groups() for found in shape.finditer(path.read_text(encoding="utf-8"))]
