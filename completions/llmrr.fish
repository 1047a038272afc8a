# fish completion for llmrr: llmrr completion fish | source
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
