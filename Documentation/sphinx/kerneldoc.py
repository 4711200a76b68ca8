# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx directives that pull the reference out of the headers at build time.

	.. kernel-doc:: include/svm/svm.h       everything in it, in its order
	   :doc:                                only its DOC: sections, nothing is checked
	   :api:                                all but its DOC: sections
	   :context:                            each function must say its context

	.. c-defines:: include/uapi/drm/svm_drm.h
	   :prefix: DRM_SVM_QUERY_              a table of these macros

What cheader.py finds wrong with a header becomes a warning at its line, and -W makes that an error.
"""

import pathlib
import re

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.nodes import nested_parse_with_titles

import cheader

log = logging.getLogger(__name__)

MARKUP = (
	(re.compile(r"&?\b(struct|enum) (\w+)"), r":c:\1:`\1 \2 <\2>`"),
	(re.compile(r"&(\w+)\.(\w+)"), r":c:member:`\1.\2`"),
	(re.compile(r"&(\w+)"), r":c:struct:`struct \1 <\1>`"),
	(re.compile(r"(?<![\w:`])([a-z]\w*)\(\)"), r":c:func:`\1`"),
	(re.compile(r"@(\w+)"), r"*\1*"),
	(re.compile(r"%(\w+)"), r"``\1``"),
	(re.compile(r"(?<![\w`])(-E[A-Z0-9]+|[A-Z][A-Z0-9]*_[A-Z0-9_]+\*?)(?![\w`])"), r"``\1``"),
)


def marked(text):
	"""kernel-doc's shorthand as reST; what is a literal already stays."""
	done = [(piece, piece.startswith("``")) for piece in re.split(r"(``.*?``)", text) if piece]
	for shape, role in MARKUP:
		# A piece that became a role or a literal is not looked at again.
		done = [part for piece, inline in done for part in ([(piece, True)] if inline else apply(shape, role, piece))]
	return joined(done)


def apply(shape, role, text):
	parts, at = [], 0
	for found in shape.finditer(text):
		parts += [(text[at:found.start()], False), (found.expand(role), True)]
		at = found.end()
	return [part for part in (*parts, (text[at:], False)) if part[0]]


def joined(pieces):
	"""One text; inline markup that touches a letter or a bracket is set off as reST wants it."""
	text = ""
	for (piece, inline), (after, _) in zip(pieces, [*pieces[1:], ("", False)]):
		if inline and text and not re.search(r"[\s('\"/<:-]$", text):
			text += "\\ "
		text += piece
		if inline and after and not re.match(r"[\s.,;:!?)'\"/>-]", after):
			text += "\\ "
	return text


def paragraphs(lines):
	"""Free text; what is indented is a literal block's and is left as it is, tabs as 8 columns."""
	return [line.expandtabs(8) if line[:1] in " \t" else marked(line) for line in lines]


def sections(found, indent=""):
	return [line for name in cheader.SECTIONS if name in found
		for line in (f"{indent}*{name}:* {marked(found[name])}", "")]


def member_lines(item):
	role = {"struct": "c:member", "enum": "c:enumerator"}[item.kind]
	for name, declaration in item.members:
		told = item.told.get(name)
		yield from (f"   .. {role}:: {declaration}", "")
		if told:
			yield from (f"      {marked(told.text)}", "", *sections(told.sections, "      "))


def function_lines(item):
	for name, _ in item.members:
		if name in item.told:
			yield f"   :param {name}: {marked(item.told[name].text)}"
	yield ""


def rest(item):
	"""An Item as lines of reST."""
	if item.kind == "doc":
		return paragraphs(item.text)
	head = {"function": f".. c:function:: {item.declaration}", "struct": f".. c:struct:: {item.name}",
		"enum": f".. c:enum:: {item.name}", "macro": f".. c:macro:: {item.name}"}[item.kind]
	lines = [head, "", f"   {marked(item.brief)}", ""]
	lines += [f"   {line}" if line else "" for line in paragraphs(item.text)] + [""]
	if item.kind == "function":
		lines += function_lines(item)
	elif item.kind == "macro":
		lines += [f"   ``{item.declaration}``", ""] if item.declaration else []
	else:
		lines += member_lines(item)
	return lines + sections(item.sections, "   ")


class Header(Directive):
	"""Base: a header of the tree, named from the tree's root."""
	required_arguments = 1
	has_content = False

	def root(self):
		return pathlib.Path(self.state.document.settings.env.srcdir).parent

	def path(self):
		path = self.root() / self.arguments[0]
		self.state.document.settings.env.note_dependency(str(path))
		return path

	def parsed(self, lines):
		node = nodes.section()
		node.document = self.state.document
		nested_parse_with_titles(self.state, lines, node)
		return node.children


class KernelDoc(Header):
	option_spec = {"doc": directives.flag, "api": directives.flag, "context": directives.flag}

	def run(self):
		path, lines = self.path(), StringList()
		for item in cheader.read(path):
			if item.kind == "function" and "context" in self.options and "Context" not in item.sections:
				item.problems.append(f"{item.name}(): its context is not described")
			if item.twin:
				cheader.borrow(item, sorted(self.root().glob("include/**/*.h")))
			for problem in item.problems if "doc" not in self.options else ():
				log.warning(problem, location=f"{path}:{item.line}")
			if ("doc" if item.kind == "doc" else "api") in self.options or not {"doc", "api"} & set(self.options):
				for line in (*rest(item), ""):
					lines.append(line, str(path), item.line - 1)
		return self.parsed(lines)


class Defines(Header):
	option_spec = {"prefix": directives.unchanged_required}

	def run(self):
		path = self.path()
		found = cheader.defines(path, self.options["prefix"])
		if not found:
			log.warning(f"no macro begins with {self.options['prefix']}", location=f"{path}:1")
			return []
		lines = [".. list-table::", "   :header-rows: 1", "", "   * - macro", "     - value", "     - meaning"]
		for name, value, comment in found:
			lines += [f"   * - ``{name}``", f"     - ``{value}``", f"     - {marked(comment or '')}"]
		return self.parsed(StringList([*lines, ""], source=str(path)))


def setup(app):
	app.add_directive("kernel-doc", KernelDoc)
	app.add_directive("c-defines", Defines)
	return {"version": "1", "parallel_read_safe": True}
