"""cvc5's library as the SMT-LIB program that tools/prove talks to, because the wheel has no executable.

Reads SMT-LIB commands from standard input until one asks for an answer, and writes what the solver answers. A question without an
answer after TIME_LIMIT milliseconds is answered with `unknown`, which proves nothing.
"""

import sys

import cvc5

TIME_LIMIT = "30000"
ANSWERED = ("(check-sat)", "(get-model)")


class Session:
    """A solver, its parser, and the symbols of both. `(reset)` replaces all three."""

    def __init__(self):
        self.terms = cvc5.TermManager()
        self.solver = cvc5.Solver(self.terms)
        self.symbols = cvc5.SymbolManager(self.terms)
        self.solver.setOption("tlimit-per", TIME_LIMIT)
        self.parser = cvc5.InputParser(self.solver, self.symbols)
        self.parser.setIncrementalStringInput(cvc5.InputLanguage.SMT_LIB_2_6, "stdin")

    def run(self, text):
        self.parser.appendIncrementalStringInput(text)
        command = self.parser.nextCommand()
        while not command.isNull():
            yield command.invoke(self.solver, self.symbols)
            command = self.parser.nextCommand()


def main():
    session, lines = Session(), []
    for line in sys.stdin:
        if line.strip() == "(reset)":
            session, lines = Session(), []
            continue
        lines.append(line)
        if line.strip() in ANSWERED:
            try:
                answer = "".join(map(str, session.run("".join(lines))))
            except RuntimeError as error:
                answer = '(error "{}")\n'.format(" ".join(str(error).split()).replace('"', "'"))
            lines = []
            sys.stdout.write(answer)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
