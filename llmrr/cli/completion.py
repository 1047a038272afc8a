"""``llmrr completion``: the completion scripts.

Typer's own scripts are not used: bash splits words at the colon of ``builtin:mini``, zsh shows
nothing at the first TAB, and each TAB imports rich. These three hand the words over as they are
and read lines of ``word<TAB>help``; without any line the shell completes file names.
"""

from typing import Annotated

import typer

from llmrr.cli import output
from llmrr.errors import UsageError

BASH = r"""# bash completion for llmrr: eval "$(llmrr completion bash)"
_llmrr_completion() {
    local IFS=$'\n' line cur words=() i colon=""
    # Bash splits words at colons; glue them together, up to the cursor.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        if [[ ${#words[@]} -gt 0 && ( ${COMP_WORDS[i]} == : || $colon ) \
                && ${COMP_LINE} == *"${words[-1]}${COMP_WORDS[i]}"* ]]; then
            words[-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        colon=""
        [[ ${COMP_WORDS[i]} == : ]] && colon=1
    done
    cur=${words[-1]}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        # What stands before the last colon is on the line already.
        [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && line=${line#"${cur%"${cur##*:}"}"}
        COMPREPLY+=("$(printf '%q' "$line")")
    done < <(_LLMRR_COMPLETE=1 "${COMP_WORDS[0]}" "${words[@]}" 2>/dev/null)
}
complete -o default -o bashdefault -F _llmrr_completion llmrr
"""

ZSH = r"""#compdef llmrr
# zsh completion for llmrr: eval "$(llmrr completion zsh)"
_llmrr() {
    local line
    local -a items found
    found=("${(@f)$(_LLMRR_COMPLETE=1 "${words[1]}" "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${found[@]}"; do
        [[ -n $line ]] || continue
        items+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( ${#items} )); then
        _describe -V 'llmrr' items
    else
        _files
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _llmrr "$@"
else
    compdef _llmrr llmrr
fi
"""

FISH = r"""# fish completion for llmrr: llmrr completion fish | source
function __llmrr_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (_LLMRR_COMPLETE=1 $words[1] $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command llmrr --no-files --arguments '(__llmrr_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
FILES = {"bash": "llmrr.bash", "zsh": "_llmrr", "fish": "llmrr.fish"}


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL",
            help="bash, zsh or fish.",
            autocompletion=lambda incomplete: [
                name for name in SCRIPTS if name.startswith(incomplete)
            ],
        ),
    ],
) -> None:
    """Print the completion script of a shell.

    For bash: eval "$(llmrr completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc; for fish:
    llmrr completion fish > ~/.config/fish/completions/llmrr.fish
    """
    output.write(script(shell))


def script(shell: str) -> str:
    """The script. Raises ``UsageError`` for a shell that is none of the three."""
    if shell not in SCRIPTS:
        said = f'there is no completion for the shell "{shell}", only for bash, zsh and fish'
        raise UsageError(said, "llmrr completion bash")
    return SCRIPTS[shell]
