# SPDX-License-Identifier: MIT
# The command line: which attempt, and how it ended.


def main():
    names = {n.replace("_", "-"): f for n, f in globals().items()
             if callable(f) and getattr(f, "__module__", "") == __name__ and not n.startswith("_")
             and n not in ("main", "syscall", "buf", "Refused")}
    if len(sys.argv) < 2 or sys.argv[1] == "--list":
        print("\n".join(names))
        return 0
    try:
        what = names[sys.argv[1]]()
    except OSError as e:
        print("refused: %s" % errno.errorcode.get(e.errno, e))
        return 1
    except Refused as e:
        print("refused: %s" % e)
        return 1
    print("succeeded: %s" % what)
    return 0


if __name__ == "__main__":
    sys.exit(main())
