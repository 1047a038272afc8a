"""How people greet the built-in model, ask what it is, and ask how to do things with llmrr."""

# What is done with the tool: verb phrases, which go into COMMAND_FRAMES.
COMMANDS = {
    "pull": """
[pull|download|get|fetch|install|obtain|grab|load down] [a|the|a new|another|some] model
[pull|download|get|fetch|install|grab] [a model|models|one|llama|qwen|mistral|gemma|phi|a llama model|weights]
[pull|download|get|fetch|install] [a model|models|llama|qwen|something] from [hugging face|the hub|huggingface|the internet]
[add|set up] [a|a new|another] model
""",
    "list": """
[list|show|see|view|print|display|enumerate] [the|my|all|all the|all my|the installed|my installed|installed] models
[see|find out|check|know] [which|what] models [i have|are installed|are here|are there|are on this machine|i downloaded]
[see|get|show] [a|the] list of [models|my models|installed models|the models]
""",
    "remove": """
[remove|delete|uninstall|erase|get rid of|drop|throw away|rm] [a|the|my|an old|one] model
[remove|delete|uninstall|erase|get rid of|drop] [models|llama|qwen|old models|a model i have]
[free space by removing|clean up] [a model|models]
""",
    "show": """
[show|see|view|get|print|display|read] [the details|details|information|info|the facts] [of|about|on|for] [a|the|my|one] model
[inspect|examine|describe] [a|the|my|one] model
[see|find out|know] [the quantization|the context length|the parameters|the size|the template] of [a|the|my] model
""",
    "run": """
[run|start|use|try|execute] [a|the|my] [model|prompt]
[run|send|ask|answer|try|give it] [a prompt|one prompt|a single prompt|one question|a question]
[ask|prompt|query] [a|the|my] model [something|a question|]
[run|use] [llama|qwen|mistral|a model] [once|from the command line|from the shell|]
""",
    "chat": """
[chat|talk|converse|have a chat|have a conversation|speak] with [a|the|my|one] model
[start|open|begin] [a|the] [chat|conversation|chat session|dialog]
[chat|talk interactively|have a conversation|have a chat]
""",
    "convert": """
[convert|transform|change|turn] [a|the|my] [model|file|safetensors file|model file] [to gguf|to another format|into gguf|to onnx|into another format|to mlx|]
[quantize|compress|shrink] [a|the|my] model
[convert|change] [the format|the quantization|formats|models]
[make|create|produce] a gguf [file|of a model|]
""",
    "migrate": """
[migrate|move|switch|change over|port] [from|away from] [ollama|langchain|openai|llamaindex|localai|another tool|transformers|lm studio]
[migrate|move|switch|port] [my setup|my project|my models|my old setup|my code|to llmrr|over]
[start|do|plan] [a|the|my] migration
[leave|replace] [ollama|langchain|localai|llamaindex] [|with llmrr]
""",
    "rollback": """
[undo|roll back|revert|take back|reverse|cancel] [the|a|my] migration
[go back|return] [to the old setup|to my old setup|after a migration|after migrating|from a migration]
[undo|revert] [migrate apply|what migrate did]
""",
    "serve": """
[serve|host|expose|offer] [a|the|my] model [|over http|over the network|as an api]
[start|run|launch|open|set up] [a|the|an] [server|api|http server|api server|http api|web server|endpoint]
[serve|use an openai compatible api|get an api|get an openai compatible server]
[serve models|offer an api|make models available over http]
""",
    "ps": """
[see|show|list|know|check|find out] [what is loaded|which models are loaded|what is running|which models are running|which model is in memory|loaded models|running models|what is in memory]
""",
    "stop": """
[stop|unload|halt|shut down|quit] [a|the|my] [model|loaded model|running model|server|running server|resident model]
[free the memory of|take from memory|remove from memory|release from memory] [a|the] model
""",
    "embed": """
[embed|vectorize] [a text|text|texts|a sentence|words|something]
[get|make|compute|create|produce|calculate] [embeddings|an embedding|vectors|embedding vectors|the embedding of a text|a vector for a text]
""",
    "probe": """
[see|show|find out|check|know|list|probe] [my hardware|the hardware|what this machine has|what my machine is|which gpu i have|this machine|what hardware i have|my gpu and memory]
[detect|inspect] [my|the] [hardware|gpu|machine|cpu]
""",
    "fit": """
[see|check|know|find out|tell|test|learn] [if|whether] [a|the|my] model [fits|fits in memory|fits on this machine|fits in vram|will fit|fits my gpu]
[see|find out|know] how much memory a model [needs|takes|uses|requires]
[calculate|estimate] [the memory|memory use|the vram] of a model
""",
    "doctor": """
[diagnose|troubleshoot|debug] [problems|my setup|my installation|llmrr|the installation|what is wrong]
[find|see|check|know|find out] [what is missing|what is broken|what is wrong|if all is well|if everything works|problems]
[check|test|verify|repair|fix] [my|the] [installation|setup|install]
""",
    "config": """
[see|show|view|print|read|display|look at] [my|the|the current|all] [settings|configuration|config|options]
[find out|see|know] [where a setting comes from|which settings apply|which settings are in force]
""",
    "edit": """
[edit|change|modify|adjust|alter] [my|the|a] [settings|configuration|config|setting|config file|options]
[set|change] [a|an|the] [option|setting|default]
""",
    "logs": """
[see|show|search|read|find|view|print|look at] [my past prompts|past runs|my history|the logs|the log|old answers|my old prompts|previous answers|earlier prompts|logs]
""",
    "stats": """
[see|show|get|view|print] [statistics|stats|usage statistics|how fast models are|my usage|how many tokens i used|the statistics|past speeds]
""",
    "search": """
[search|look|browse] [for models|for a model|the hub|hugging face|models|the hub for models|for new models]
[find|discover] [a model|models|new models] [on the hub|on hugging face|to download|online]
""",
    "copy": """
[copy|duplicate|alias|clone|rename] [a|the|my] model
[give|make] [a model|a copy of a model|my model] [another name|a new name|an alias|a second name|]
""",
    "bench": """
[measure|benchmark|test|time] [the speed|how fast|the performance] [of|for|is] [a|the|my] model
[benchmark|bench|speed test|time] [a|the|my] model
[see|find out|measure] how [fast|quick|slow] [a model is|my model runs|a model runs|my machine is]
""",
    "route": """
[see|know|find out|check|show] [which|what] model [a prompt goes to|would answer|will be used|would be chosen|gets my prompt|is picked]
[explain|see|test|try] [routing|the routing|a routing decision|the router]
""",
    "keys": """
[set|store|save|add|enter|keep|put in] [a|an|my|the] [key|api key|openai key|secret|provider key|token]
""",
    "completion": """
[install|set up|get|enable|turn on|add] [shell completion|tab completion|completions|completion|autocomplete|bash completion|zsh completion|fish completion]
""",
    "disk": """
[see|show|find out|check|know] [how much disk models use|how much disk space models take|disk usage|the disk use of models|how much space models need on disk]
""",
    "version": """
[see|show|find out|get|print|check|know] [the version|which version i have|my version|the llmrr version|the version number|which version is installed]
""",
    "help": """
[get|see|show|find|read] [help|the help|all commands|the commands|a list of commands|the list of commands|the manual|documentation|every command]
""",
    "continue": """
[continue|resume|go on with|carry on|keep on with] [a|the|the last|my last|my] [conversation|chat|dialog|talk]
""",
}

COMMAND_FRAMES = """
how [do|can|would|could|should|may|must] i {vp} [|with llmrr|in llmrr|using llmrr|here|on this machine]
how [do|can|would|does] [you|one|we|someone] {vp} [|with llmrr|in llmrr|using llmrr|here]
how to {vp} [|with llmrr|in llmrr|using llmrr|here]
[what is|what's|whats|tell me|show me|give me|name|i need|i forgot] the [command|llmrr command|right command|subcommand] [to|that lets me|for how to|with which i] {vp}
[which|what] [command|llmrr command|subcommand|option] [do i use to|lets me|will|would|can|does it take to|should i use to|is there to] {vp}
[i want to|i need to|i'd like to|i would like to|i wish to|i have to|i must|i am trying to|i'm trying to|let me|help me|i wanna] {vp}
[what do i type to|what should i type to|what must i enter to|what do i enter to|what do i run to] {vp}
[show me|tell me|teach me|explain|explain to me|do you know|can you tell me|can you show me] how to {vp}
[show me|tell me|explain] how i [can|may|do|could] {vp}
[is there|do you have|is there any|does llmrr have] [a way|a command|an easy way] to {vp}
[can|could|may] [i|llmrr|you|it|we] {vp}
[command to|the command to|command for: |llmrr command to|best way to|the way to|steps to|ways to|llmrr:] {vp}
{vp} [how|, how|with llmrr|, which command|please|, what do i type|]
{vp}
where do i {vp}
[what if i want to|in case i want to|when i want to|to] {vp} [, what do i do|, what do i type|what is the command|, how]
"""

SAYINGS = {
    "who": """
who [are|r] [you|u]
[who|what] am i [talking|speaking|chatting] [to|with]
what are you
[tell me|say|explain] [who|what] you are
[tell me|tell me something|talk|say something] about yourself
[introduce|describe|present] yourself
which [model|llm|language model|ai] [are you|is this|am i using|do i talk to]
what [model|llm|language model|ai] [are you|is this|is running]
what is [this|llmrr mini|builtin:mini|builtin mini]
[who|what] is [answering|there|this|speaking|talking]
[what kind|what sort] of [model|ai|thing|program] are you
who is llmrr mini
are you [llama|qwen|mistral|a model|which model]
your identity
""",
    "name": """
what is your name
what's your name
[your name|name yourself|your name please]
[do you have|have you got] a name
[how|what] [should|do|can|may] i call you
what [are you called|do they call you|do people call you]
how are you called
[tell me|say|may i ask|can you tell me|could you tell me] your name
whats ur name
""",
    "maker": """
who [made|created|built|trained|developed|wrote|designed|programmed|invented] [you|this model|u]
who is [your|the] [maker|creator|author|developer|inventor|father]
[where|from where] do you come [from|]
where are you from
[how|by whom|from what] were you [made|trained|created|built|born]
what [were you trained on|is your training data|data were you trained with|text did you learn from]
how did you learn
which company [made|built|trained|owns] you
who do you belong to
""",
    "able": """
what can you do
what [do you know|can i ask you|can i ask|are you able to do|do you do|can you answer|are you good for|are you good at]
[how|with what|in what way] can you help [me|]
what [questions|kind of questions|things|sort of things|topics] [can i ask|do you know|can you answer|do you understand|can you handle]
[tell me|list|show me|explain] what you [can do|know|can answer]
[your|what are your] [abilities|skills|capabilities|talents|features]
what should i ask [you|]
what are you [capable of|for|useful for]
what is your [purpose|job|task]
""",
    "human": """
are you [a human|human|a person|a real person|alive|a man|a woman|a robot|an ai|a bot|a machine|real|a computer|a living being|conscious]
am i [talking|speaking|chatting] [to|with] [a human|a person|a machine|a bot|a real person|an ai]
do you have [feelings|a body|a soul|a brain|emotions]
is this [a human|a person|a bot|a machine|an ai]
are you [chatgpt|gpt|gpt-4|claude|gemini|siri|alexa]
""",
    "size": """
how [big|large|small|tall|heavy] are you
how many [parameters|weights] [do you have|have you|have you got|are in you|does this model have]
what [is your size|size are you|size is this model]
[your size|your number of parameters|number of parameters|parameter count]
[what's|what is] your parameter count
how [many parameters|big] is [this model|llmrr mini|the model|the built-in model|builtin:mini]
""",
    "online": """
[do|can|could] you [use|need|have|access|reach] the [internet|network|web]
are you [online|connected|connected to the internet|in the cloud|on a server]
[do|can|could] you [search|browse|go on|surf] the [web|internet|net]
[do|can|will] you send my [data|prompts|questions|text] [anywhere|to someone|to a server|away]
do you [run|work] [offline|locally|in the cloud|without internet|on my machine|on this machine]
where do you run
is my data [safe|private|sent anywhere|sent away]
do i need [internet|a network|an internet connection|a connection] [for you|to use you|to talk to you|]
""",
    "better": """
how do i get a [better|bigger|real|larger|smarter|stronger|proper] [model|llm|one]
[i want|i need|give me|can i have|where is|is there] a [better|bigger|real|larger|smarter|stronger|proper] [model|llm|one]
[you are|you're] [too small|not smart|stupid|useless|dumb|wrong|bad|not good]
[you know|you can do] [nothing|too little|very little|so little]
how can i use a [better|bigger|real|larger|smarter|stronger] model
[upgrade|replace] you
that is [wrong|not right|incorrect|false]
""",
    "tool": """
what is llmrr
what's llmrr
what [does|can|will] llmrr do
[explain|describe|tell me about|tell me something about] llmrr
llmrr
what [is llmrr good for|is llmrr for|does llmrr mean|does llmrr stand for|can i do with llmrr|kind of tool is llmrr]
[why|when|for what] [should|would|do] i use llmrr
[what is|what's] [this tool|this program|the purpose of llmrr|the point of llmrr]
""",
    "hello": """
[hello|hi|hey|hiya|howdy|greetings|yo|helo|hallo|hullo|heya|hi there|hello there|hey there|good day|g'day]
[hello|hi|hey] [llmrr|mini|model|you|friend|there|again|everyone|my friend|computer|bot]
[hello|hi|hey] [hello|hi|hey]
[hello|hi|hey], [anybody there|is anyone there|anyone home|nice to meet you|pleased to meet you|are you there]
[nice|pleased|good|glad] to meet you
[are you there|anybody there|is anyone there|ping|test|testing]
[what's up|whats up|sup|wassup]
""",
    "morning": """
[good|a good|a very good|very good] morning [|to you|llmrr|there|everyone|my friend|dear model|mini]
[morning|mornin|good mornin|gm|top of the morning]
[hello|hi|hey], good morning
""",
    "evening": """
[good|a good|a very good|very good] evening [|to you|llmrr|there|everyone|my friend|dear model|mini]
[evening|evenin|good evenin]
[hello|hi|hey], good evening
""",
    "night": """
[good|a good] night [|to you|llmrr|there|everyone|my friend|mini]
[nighty night|night night|sleep well|sleep tight|sweet dreams|goodnight|gn]
[i am|i'm] [going to bed|off to bed|going to sleep]
good night [, sleep well|and sweet dreams|, see you tomorrow]
""",
    "thanks": """
[thanks|thank you|thank u|thx|ty|tysm|cheers|thanx|merci|much obliged|many thanks|much appreciated]
[thanks|thank you] [a lot|so much|very much|a million|a bunch|for that|for your help|for the help|for this|for the answer|for helping|llmrr|mini|my friend|again|kindly|for your answer]
[ok|okay|great|good|cool|perfect|nice|well|right|oh|super|alright] [,|] [thanks|thank you|thx|cheers] [|a lot|so much]
[i appreciate|i really appreciate] [it|that|your help|this]
[that helps|that helped|that was helpful|you helped me|very helpful] [|, thanks|, thank you|a lot]
[i am|i'm] grateful
""",
    "bye": """
[bye|goodbye|good bye|bye bye|bye-bye|see you|see ya|cya|farewell|so long|later|adios|ciao|cu|cheerio]
[bye|goodbye|see you|so long|farewell] [then|now|llmrr|mini|later|soon|tomorrow|my friend|for now|and thanks|for today|again|everyone]
[see you|talk to you|catch you|speak to you] [later|soon|tomorrow|again|next time]
[i have to|i must|i need to|i gotta|i've got to] [go|leave|run|go now|leave now]
[ok|well|alright|okay|thanks] [,|] [bye|goodbye|see you|bye bye]
[i am leaving|i'm leaving|i'm off|have a nice day|have a good day|take care|have a good one|that's all for today]
""",
    "feeling": """
how are you [|today|doing|doing today|feeling|this morning|now|feeling today]
how [is it going|are things|do you do|do you feel|goes it|have you been|is life|is your day|was your day]
how's [it going|life|everything|your day|it]
[are you|you] [ok|okay|well|fine|alright|good|all right]
[how r u|how are u|hows it going|how do you do|what's new|how you doing|how you doin]
[hello|hi|hey] [,|] how are you [|today|doing]
""",
    "praise": """
[you are|you're|ur] [great|good|smart|clever|nice|funny|wonderful|amazing|cool|the best|awesome|very good|so smart|very clever|sweet|brilliant|fantastic]
[well done|good job|great job|nice work|good work|great work|bravo|nicely done|good answer|great answer|nice one|good bot|good model]
[i like|i love] [you|your answers|your answer|it|that|this|talking to you]
[that is|that's|that was|this is|it's] [right|correct|great|good|nice|perfect|cool|true|amazing|very good|wonderful]
[correct|perfect|excellent|awesome|amazing|wonderful|right|brilliant|great|nice|cool|super|fantastic]
what a [good|great|clever|smart|nice] [model|answer|bot|program]
""",
    "sorry": """
[sorry|i'm sorry|i am sorry|my apologies|apologies|i apologize|so sorry|pardon|pardon me|excuse me|my bad|oops|oops sorry|my mistake|my fault]
[sorry|i'm sorry|i am sorry|i apologize|apologies] [for that|about that|for the mistake|for the typo|for this|for being rude|, my mistake|, i made a mistake|, wrong question|, that was wrong]
[i made|that was] a [mistake|typo|error]
[forgive|excuse|pardon] me
[please|] [forgive|excuse] me
never mind
nevermind
""",
}
