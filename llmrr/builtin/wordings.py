"""How people ask: the wordings the built-in model is trained on, as small grammars.

``[a|b|]`` stands for one of its alternatives and ``{x}`` for what is asked about. A kind of
question has noun phrases, which go into any of ``FRAMES``, and whole clauses of its own.
"""

import random
import re
from functools import cache

FRAMES = """
[what is|what's|whats|what was|what are|which is|wat is|what would be|what might be|what exactly is] {np}
[tell me|give me|name|say|state|show me|find|find me|provide|list|write|write down|get me|type] {np}
[do you know|do you remember|can you name|can you give me|can you tell me|could you tell me] {np}
[could you give me|would you tell me|will you tell me|could i have|may i have|can i get] {np}
[i need|i want|i want to know|i'd like|i would like to know|i'd like to know|i need to know] {np}
[looking for|i am looking for|i'm looking for|i'm trying to find|trying to remember|i forgot] {np}
[i am after|i have to know|i must know|i have to find|i was asked for|someone asked me for] {np}
[tell me|can you tell me|do you know|could you tell me|explain|say|i'd like to know] what {np} is
[i wonder|i wonder about|i was wondering|any idea|any clue|no idea|i don't know|not sure] what {np} is
[i forgot|i have forgotten|i can't remember|i don't remember|remind me|let me know|guess] what {np} is
[remind me of|remind me about|let me know|question about|a question about|quiz:|trivia:] {np}
[i have a question about|my question is about|my homework asks for|homework:|quick question:] {np}
[fill in the blank:|complete this:|finish the sentence:|complete:|] {np} [is|is?|is ...|=|would be]
{np} [is what|is called what|please|is which one|, what is it|, do you know it|-|:|?|equals]
[you know|surely you know|i bet you know|bet you don't know|do you happen to know] {np}
[what can you tell me about|what do you know about|inform me of|help me with|answer:] {np}
{np}
{np}
{np}
"""

# Kinds about one thing: noun phrases first, then after a line "--" whole clauses.
KINDS = {
    "capital": """
the capital [|city] of {x}
the capital [|city] [in|for] {x}
{x}'s capital [|city]
[capital|capital city] [of|for|in] {x}
{x} [capital|capital city]
[the name of|what they call|the right name of] [the capital of {x}|{x}'s capital]
the [national|official|present|current] capital of {x}
the city that is [the capital|capital] of {x}
[the seat of government|the government seat] of {x}
--
[which|what] [city|town|place] is the capital [|city] [of|in|for] {x}
[which|what] [city|town|place] is {x}'s capital
[which|what] city [serves as|acts as|counts as|works as] [the capital of {x}|{x}'s capital]
[which|what] city [is|do they have as|was made|became] capital [of|in] {x}
what does {x} have [as|for] [its|a|the] capital
{x} has [what|which] [capital|city as its capital|city as capital]
[where is|where's|where do i find] [the capital of {x}|{x}'s capital|the government of {x}]
in [which|what] city [is|sits] the government of {x}
[what is|what's] [{x}'s capital|the capital of {x}] called
[what do they call|what do you call|how do you call|how do they call] the capital [of|in] {x}
the capital of {x} is [called what|named what|which city|what city]
is {other} the capital of {x}
[isn't|wasn't] {other} the capital of {x}
{x} [:|-|,|...] [capital|capital city|what is its capital|what's the capital|name the capital]
[in|for] {x} [what|which] city is the capital
[i am going to|i live in|i'm in|i was in|i like|i love] {x}, what is [the|its] capital
the people of {x} call [which|what] city their capital
[which|what] capital does {x} have
[which|what] capital belongs to {x}
what's the name of [the capital of {x}|{x}'s capital]
how is the capital of {x} [called|named]
[if i go to|when i visit] the capital of {x} [where am i|which city is that]
""",
    "country_of": """
the [country|state|place|nation] [whose|with the] capital [is|of|called] {x}
the [country|state|place|nation] [with|that has|having] {x} as [its|a|the] capital
the [country|state|nation] {x} is the capital of
the country of which {x} is the capital
--
{x} is the capital of [which|what] [country|state|place|nation|]
{x} is [which|what] [country|state|nation]'s capital
[which|what] [country|state|place|nation] is {x} the capital [|city] of
[which|what] [country|state|place|nation] has {x} as [its|the|a] capital [|city]
[which|what] [country|state|nation]'s capital is {x}
[whose|which] capital is {x}
{x} is the capital [|city] of
of [which|what] [country|state|place] is {x} the capital
[what|which] [country|state] [has its capital in|is governed from|has the capital] {x}
what is {x} the capital of
what's {x} the capital of
capital {x} [which|what] [country|state]
[where|in which country] is {x} the capital
the capital {x} belongs to [which|what] [country|state|nation]
{x} [,|-|:] capital of [what|which country|which state|]
for [which|what] [country|state|place] is {x} the capital
""",
    "opposite": """
the [opposite|antonym|reverse|contrary|inverse] [of|to|for] {q}
the opposite [word|meaning|term] [of|to|for] {q}
the word [opposite|contrary] to {q}
[an antonym|antonyms|opposites|an opposite|a word with the opposite meaning|opposite] [of|for|to] {q}
{q} opposite
the opposite [adjective|thing|word|] of {q}
[a|the|one] word that is the opposite of {q}
[a|the] word that means the opposite of {q}
--
[what|which] [word|one|] is the opposite [of|to|from] {q}
[what|which] [word|] is opposite [to|of] {q}
[what|which] word means the [opposite|contrary|reverse] of {q}
if [something is|it is|it's|someone is] not {q} [what is it|it is|then it is|then what is it]
{q} is the [opposite|antonym|contrary|reverse] of [what|which word|]
{q} [and|vs|versus|or|,|/] [its opposite|opposite|what|the opposite]
what is [not|the contrary of|the reverse of] {q}
[not|contrary to|opposed to] {q} [is|is what|but]
[how do you say|what do you call] [the opposite of|the reverse of] {q}
{q} has [what|which] [opposite|antonym]
[which|what] word [has|carries] the opposite meaning of {q}
{q} [is to be turned around|the other way round|reversed] [is|is what|what is that|]
opposite: {q}
antonym {q}
what's the other side of {q}
what contrasts with {q}
what is the opposite when something is {q}
""",
    "colour": """
the [color|colour] of [{ax}|{xs}|the {x}]
[the|] [{x}|{ax}] [color|colour]
[{ax}'s|a {x}'s] [color|colour]
the usual [color|colour] of [{ax}|{xs}]
the [color|colour] that [{ax} has|{xs} have|{ax} is|{xs} are]
[color|colour] of [{x}|{ax}|{xs}]
--
[what|which] [color|colour] [is|has] [{ax}|the {x}|{x}]
[what|which] [color|colour] [are|do] {xs} [|have|usually]
[what|which] [color|colour] [does|would|should|could|will|might] [{ax}|{x}] [have|be]
[what|which] [color|colour] [is|are] [{ax} usually|{xs} usually|{xs} normally|most {xs}]
[{ax} is|{xs} are|{x} is] [what|which] [color|colour]
[how is {ax}|how are {xs}] colored
[{ax} has|{xs} have] [what|which] [color|colour]
[in|of] [what|which] [color|colour] [is {ax}|are {xs}]
what [shade|hue|tint] [is {ax}|are {xs}|does {ax} have]
[if i draw|if i paint|when i draw|to draw|to paint] {ax} [what|which] [color|colour] [do i use|do i need|should it be]
[what|which] [crayon|pencil|paint|color|colour] do i [need|use|take|pick] [for|to draw|to paint] [{ax}|{xs}]
[i see|imagine|picture|think of|here is] {ax}, [what color is it|what colour is it|what is its color|which color]
[describe|name|tell me] the [color|colour] of [{ax}|{xs}]
[is {ax}|are {xs}] [red|blue|green|yellow|black|white|brown|pink|purple]
[color|colour]: {x}
what do you call the [color|colour] of [{ax}|{xs}]
""",
    "next_day": """
the [day|weekday] [after|following|right after|that follows|that comes after|next to] {x}
the [next|following] [day|weekday] after {x}
the day which [follows|comes after|is after] {x}
--
[what|which] [day|weekday|] [comes|is|follows|is it|comes right|do we have] after {x}
[what|which] [day|weekday|] [follows|succeeds] {x}
after {x} [comes|comes what|what day comes|it is|which day is it|what is the next day|is]
if today is {x} [what is|what day is|then|what's|which day is] tomorrow
today is {x} [, what is|, what day is|. what day will it be] tomorrow
if [yesterday was|it was] {x} [yesterday|], what day is [it|] today
[tomorrow, if today is {x}|tomorrow if it is {x} today|it is {x} today, what about tomorrow]
{x} is followed by [what|which day|]
{x} comes before [what|which day|what day]
[what|which] day is next after {x}
[a|one] day after {x}
once {x} is over [what day is it|which day comes]
""",
    "previous_day": """
the [day|weekday] [before|preceding|right before|that precedes|that comes before|prior to] {x}
the previous day [before|of] {x}
the day which [precedes|comes before|is before] {x}
--
[what|which] [day|weekday|] [comes|is|was|is it|comes right|do we have] before {x}
[what|which] [day|weekday|] precedes {x}
before {x} [comes|comes what|what day comes|it is|which day is it|what is the day|is|was]
if today is {x} [what was|what day was|then|which day was] yesterday
today is {x} [, what was|, what day was|. what day was it] yesterday
if [tomorrow is|it will be] {x} [tomorrow|], what day is [it|] today
[yesterday, if today is {x}|it is {x} today, what about yesterday]
{x} is preceded by [what|which day|]
{x} comes after [what|which day|what day]
{x} follows [what|which day|what day]
[a|one] day before {x}
""",
    "next_month": """
the month [after|following|right after|that follows|that comes after] {x}
the [next|following] month after {x}
the month which [follows|comes after|is after] {x}
--
[what|which] [month|] [comes|is|follows|is it|comes right|do we have] after {x}
[what|which] [month|] [follows|succeeds] {x}
after {x} [comes|comes what|what month comes|which month is it|what is the next month|is]
if this month is {x} [what is|what month is|then|which month is] next month
[it is|it's] {x} [, what is|now, what is|. what will be] next month
{x} is followed by [what|which month|]
{x} comes before [what|which month|what month]
[what|which] month is next after {x}
[a|one] month after {x}
once {x} is over [what month is it|which month comes]
""",
    "previous_month": """
the month [before|preceding|right before|that precedes|that comes before|prior to] {x}
the previous month [before|of] {x}
the month which [precedes|comes before|is before] {x}
--
[what|which] [month|] [comes|is|was|is it|comes right|do we have] before {x}
[what|which] [month|] precedes {x}
before {x} [comes|comes what|what month comes|which month is it|is|was]
if this month is {x} [what was|what month was|then|which month was] last month
[it is|it's] {x} [, what was|now, what was] last month
{x} is preceded by [what|which month|]
{x} comes after [what|which month|what month]
{x} follows [what|which month|what month]
[a|one] month before {x}
""",
    "month_days": """
the number of days in [|the month of] {x}
the [length|duration] of {x}
[the days in|days in|day count of|number of days of] {x}
{x}'s [length|number of days|days]
how many days {x} has
--
how many days [are in|are there in|does|has|in|has got] {x} [|have]
how many days [do we have|do we get|do you count] in {x}
how long is [|the month of] {x}
{x} has how many days
in {x} [how many days are there|there are how many days]
what number of days [is in|does] {x} [|have]
{x} days [|how many]
count the days [in|of] {x}
how [big|short|many days long] is {x}
[does {x} have|is it true that {x} has] [30|31|28] days
""",
    "month_number": """
the number of [|the month] {x}
the [position|place|rank] of {x} [in the year|among the months|]
{x}'s [number|position|place] [in the year|]
{x} as a number
the month number of {x}
--
[what|which] [number|number month|position] is {x} [|in the year]
[what|which] month of the year is {x}
[what|which] number does {x} have
{x} is [what|which] [number|month number|month] [|of the year]
{x} is month number [what|?|]
where in the year [is|comes|does] {x} [|come]
which one of the twelve months is {x}
month number {x}
at what [position|place] [is|comes] {x}
""",
    "nth_month": """
the {x} month [|of the year|in the year|in a year]
[the name of|] the {x} month of the year
month [number|] {x}
--
[what|which] month is [|the] {x} [|in the year]
[what|which] is the {x} month
the {x} month is [called what|what|which]
which month comes {x}
[what|which] month [of the year|] comes [|in] {x}
what do you call the {x} month
how is the {x} month called
""",
    "unit": """
the number of {u} in {ax}
{u} [in|per|of] [{ax}|{x}]
the {u} count of {ax}
{ax}'s number of {u}
how many {u} {ax} has
--
how many {u} [are in|are there in|in|does|has|make|make up|fit in|go into] {ax} [|have]
{ax} has how many {u}
in {ax} [how many {u} are there|there are how many {u}|are how many {u}]
[count|count up] the {u} [in|of] {ax}
{u} per {x} [|how many]
how many {u} [do we have|do you get|do you count|can you find] in {ax}
what number of {u} [is in|are in|does] {ax} [|have]
{ax} [is made of|consists of|contains|is] how many {u}
{ax} [equals|is the same as] how many {u}
how many {u} [is|equal] {ax}
how many {u} does it take to make {ax}
[about|with] {ax}: how many {u}
""",
    "plural": """
the plural [|form] [of|for] {q}
{q} [plural|in plural|in the plural|in plural form]
the plural noun [of|for] {q}
plural [of|form of|for] {q}
[the word for|the name for] [more than one|many|several|two] {q}
{q}'s plural
--
[what do you call|how do you say|what's the word for] [more than one|two|many|several|a lot of] {q}
[one|1] {q} [, two|, 2|, many|, three|, several|two|but two|but many|and two] [what|...|?|]
[what|which] is {q} in [the|] plural
[how do you make|how do i make|how do you form|make|form|turn|put|write|change] {q} [plural|into plural|into the plural|in the plural]
[how do you write|how to write|how do you spell|how to spell] the plural [of|for] {q}
{q} becomes [what|...|] in the plural
pluralize {q}
[if|when] there is more than one {q} [you say|what do you say|i say|we say what]
[what happens to|how does] {q} [in the plural|change in the plural]
plural: {q}
i have one {x}, you have two [what|...|]
[what is|what's] the plural if i have one {x}
[what|which] plural does {q} have
""",
    "singular": """
the singular [|form] [of|for] {q}
{q} [singular|in singular|in the singular|in singular form]
the singular noun [of|for] {q}
singular [of|form of|for] {q}
[the word for|the name for] [only one|just one|a single one] of [the|] {q}
{q}'s singular
--
[what do you call|how do you say|what's the word for] [only one|one|just one|a single one] of [|the|many] {q}
[two|many|three|several] {q} [, one|, 1|but one|but only one|and one] [what|...|?|]
[what|which] is {q} in [the|] singular
[how do you make|how do i make|make|form|turn|put|write|change] {q} [singular|into singular|into the singular|in the singular]
[how do you write|how do you spell] the singular [of|for] {q}
{q} is the plural of [what|which word|which noun|]
[what|which] [word|noun] has the plural {q}
{q} becomes [what|...|] in the singular
[if|when] there is only one of [the|] {q} [you say|what do you say|i say]
singular: {q}
[what|which] singular does {q} have
""",
    "past": """
the past tense [|form] [of|for] {q}
the [simple past|past form|preterite|past] of [the verb|] {q}
{q} [past tense|in the past tense|in the past|in past tense|past]
past tense [of|for|:] {q}
{q}'s past [tense|form]
the verb {q} in the past [|tense]
--
[how do you say|how do i say|how do you write|how to say|what do you say for] {q} in the past [|tense]
[what|which] is {q} in [the|] past [|tense]
[put|write|turn|change|make|conjugate] {q} [into the past|in the past tense|into past tense|past tense]
today [i|we|they|you] {x} [, yesterday|but yesterday|and yesterday|yesterday] [i|we|they|you] [what|...|]
i {x} today, [and|but|] yesterday i [...|what|]
[yesterday i|last week i|last year they] [...|what] [(|] {x} [)|]
{q} becomes [what|...|] in the past [|tense]
[how does|what happens to] {q} [change in the past|in the past tense]
[what|which] past tense does {q} have
to {x}: past tense
the past tense of to {x}
what's the past of to {x}
""",
    "sound": """
the [sound|noise] of {ax}
the [sound|noise] [that|] [{ax} makes|{xs} make]
the [sound|noise] made by [{ax}|{xs}]
{x} [sound|noise|sounds|noises]
{ax}'s [sound|noise|voice|call|cry]
the [call|cry|voice] of {ax}
[sound|noise] of {ax}
--
what [sound|noise|noises|sounds] [does {ax}|do {xs}|would {ax}|will {ax}|does the {x}|can {ax}] make
what does [{ax}|the {x}|my {x}|{x}] [say|sound like|go|do to make noise]
[how does|what does] [{ax}|the {x}] [sound|sound like|go|cry]
[what do|how do] {xs} [say|sound|sound like|go]
{ax} [says|says what|goes|goes what|makes what sound|makes what noise|makes which sound]
{xs} [say|say what|go|make what sound|make what noise]
which [sound|noise] [does {ax}|do {xs}|would {ax}] make
[the {x}|old macdonald had {ax}, it] [says|goes] [what|...]
[imitate|imitate the sound of|sound like|make the sound of|do the sound of] {ax}
[what|which] [sound|noise] [comes from|is made by|do you hear from|do i hear from|can be heard from] {ax}
[when|if] {ax} [makes a sound|talks|speaks|calls|makes noise] [what is it|what does it say|what do you hear]
what is [{ax}|the {x}] saying
""",
    "young": """
the [name of|name for|word for|term for] [a baby {x}|a young {x}|baby {xs}|young {xs}]
the [baby|young|child|offspring|little one] of {ax}
{ax}'s [baby|young|child|offspring|little one]
a [baby|young|little] {x}
baby {x} [name|]
the young of {xs}
[name|word|term] for a [baby|young] {x}
--
[what|which] is [a baby|a young|the baby|a little] {x} called
[what|which] [are|do you call] [baby|young] {xs} [|called]
[what do you call|how do you call|what do we call|what do they call|what would you call] [a baby|a young|a little|the baby of a|the child of a] {x}
how is [a baby|a young|the baby of a] {x} called
[a baby|a young|a little] {x} is [called|called what|named|known as what|a what|a|what]
[what|which] [name|word|term] [is used for|do we use for|does|is there for] [a baby|a young] {x} [|have]
{xs} have babies called [what|...|]
{ax} has a baby, what is it called
[what are|what do we call] [the young|the babies|the children|the little ones] of [{ax}|{xs}|the {x}]
[the baby|the young|the little one] of {ax} is [|called|what|a]
[when {ax} is|while {ax} is] [a baby|young|little] [it is|what is it|it is called]
""",
    "legs": """
the number of legs [of|on] {ax}
{ax}'s number of legs
{x} legs [|how many|count]
number of legs of {ax}
how many legs [{ax} has|{xs} have]
the leg count of {ax}
--
how many legs [does|has|has got|will|should] [{ax}|the {x}] [have|]
how many legs [do {xs} have|have {xs} got|are on {ax}|are there on {ax}]
{ax} has how many legs
{xs} have how many legs
[count|count up] the legs [of|on] {ax}
on how many legs does {ax} [walk|stand|run]
{ax} [walks|stands] on how many legs
how many feet does {ax} have
what number of legs does {ax} have
""",
    "next_letter": """
the letter [after|following|right after|that follows|that comes after] [|the letter] {q}
the next letter after {q}
the letter which [follows|comes after] {q}
--
[what|which] letter [comes|is|is next|comes next|comes right] after {q} [|in the alphabet]
[what|which] letter [follows|succeeds] {q} [|in the alphabet]
after [|the letter] {q} [comes|comes what|comes which letter|what letter comes] [|in the alphabet]
{q} is followed by [what|which] letter [|in the alphabet]
in the alphabet [what|which letter] [comes after|follows|is after] {q}
what comes after [|the letter] {q} [in the alphabet|]
""",
    "previous_letter": """
the letter [before|preceding|right before|that precedes|that comes before] [|the letter] {q}
the previous letter [before|of] {q}
the letter which [precedes|comes before] {q}
--
[what|which] letter [comes|is|comes right|was] before {q} [|in the alphabet]
[what|which] letter precedes {q} [|in the alphabet]
before [|the letter] {q} [comes|comes what|comes which letter|what letter comes] [|in the alphabet]
{q} is preceded by [what|which] letter [|in the alphabet]
in the alphabet [what|which letter] [comes before|precedes|is before] {q}
what comes before [|the letter] {q} [in the alphabet|]
{q} comes after [what|which] letter
""",
    "add": """
{a} [plus|and|added to|+|together with|add|more than] {b}
{a}+{b}
{a} + {b}
{a} + {b}
the [sum|total] of {a} and {b}
the [answer to|result of|value of|sum] {a} [+|plus] {b}
the result [when you add|of adding] {a} [and|to] {b}
--
[add|sum|sum up|add up|add together|total|put together] {a} and {b}
add {b} to {a}
[how much|what|how many] [is|are|makes|make|do|does] {a} [plus|and|+|added to] {b} [|make|equal|give]
{a} [+|plus|and] {b} [=|= ?|is|is what|makes|equals|equals what|gives|makes what|makes how much|is how much]
{a}+{b}=[|?]
[if i have|i have|i had|she has|tom has|you have] {a} [apples|books|coins|cats|pens|] and [get|find|buy|take|am given|add] {b} more [, how many do i have|how many is that|what do i have|, how many are there]
[if you add|when you add|when i add|adding] {a} [and|to|plus] {b} [what do you get|what is it|you get|gives]
[calculate|compute|work out|solve|do the math:|figure out|evaluate] {a} [+|plus|and] {b}
[what do you get|what do i get|what is the result] if you add {a} [and|to] {b}
{b} more than {a} [is|is what|]
increase {a} by {b}
""",
    "subtract": """
{a} [minus|take away|less|-|subtract|without] {b}
{a}-{b}
{a} - {b}
{a} - {b}
the difference [between|of] {a} and {b}
the [answer to|result of|value of] {a} [-|minus] {b}
the result [when you subtract|of subtracting|of taking] {b} from {a}
--
[subtract|take|take away|remove|deduct] {b} from {a}
[how much|what|how many] [is|are|makes|does] {a} [minus|less|-|take away] {b} [|make|equal|give]
{a} [-|minus|take away|less] {b} [=|= ?|is|is what|makes|equals|equals what|leaves|leaves what|is how much]
{a}-{b}=[|?]
[if i have|i have|i had|she has|tom has|you have] {a} [apples|books|coins|cats|pens|] and [lose|eat|sell|give away|spend|drop] {b} [, how many are left|how many is that|what is left|, how many do i have]
[if you take|when you take|taking] {b} [from|away from] {a} [what is left|what do you get|what remains|you get|leaves]
[calculate|compute|work out|solve|do the math:|figure out|evaluate] {a} [-|minus|take away] {b}
[what is left|what remains|how much is left] [if|when] you take {b} from {a}
{b} less than {a} [is|is what|]
[reduce|decrease|lower] {a} by {b}
{b} from {a} [is|leaves|leaves what|]
""",
    "multiply": """
{a} [times|multiplied by|x|*|multiplied with|multiply|by] {b}
{a}*{b}
{a}x{b}
{a} * {b}
{a} x {b}
the product of {a} and {b}
the [answer to|result of|value of] {a} [x|*|times] {b}
the result [when you multiply|of multiplying] {a} [by|and|with] {b}
--
[multiply|times] {a} [by|and|with] {b}
[how much|what|how many] [is|are|makes|does] {a} [times|x|*|multiplied by] {b} [|make|equal|give]
{a} [x|*|times|multiplied by] {b} [=|= ?|is|is what|makes|equals|equals what|gives|is how much]
{a}*{b}=[|?]
[if i have|i have|there are|we have|she has] {a} [bags|boxes|rows|groups] [of|with|of size] {b} [, how many is that|how many in all|what is the total|, how many are there]
[if you multiply|when you multiply|multiplying] {a} [by|with|and] {b} [what do you get|what is it|you get|gives]
[calculate|compute|work out|solve|do the math:|figure out|evaluate] {a} [x|*|times] {b}
[what do you get|what do i get|what is the result] if you multiply {a} [by|and] {b}
{a} [groups|lots|sets] of {b} [is|is what|make|]
""",
    "divide": """
{a} [divided by|over|/|÷|divide|divided with] {b}
{a}/{b}
{a} / {b}
{a} / {b}
the quotient of {a} and {b}
the [answer to|result of|value of] {a} [/|divided by] {b}
the result [when you divide|of dividing] {a} by {b}
--
[divide|split|share] {a} [by|into] {b}
[how much|what|how many] [is|are|makes|does] {a} [divided by|over|/] {b} [|make|equal|give]
{a} [/|divided by|over] {b} [=|= ?|is|is what|makes|equals|equals what|gives|is how much]
{a}/{b}=[|?]
how many times does {b} [go into|fit into|fit in|go in] {a}
[if i share|if i split|i divide|we share] {a} [apples|coins|sweets|cards|] [among|between|by|into] {b} [, how many each|what does each get|how many is that|people, how many each]
[if you divide|when you divide|dividing] {a} by {b} [what do you get|what is it|you get|gives]
[calculate|compute|work out|solve|do the math:|figure out|evaluate] {a} [/|divided by] {b}
[what do you get|what do i get|what is the result] if you divide {a} by {b}
""",
}

# After an answer of the same kind, one may only name the next thing.
FOLLOW_UPS = """
[and|and of|and for|what about|how about|and what about|then|now|ok, and|and the one of|same for|also] {ax}
[and|now] {ax} [then|please|too|as well|now|?]
[what about|how about|and how about|or] {ax} [then|instead|]
{ax}
[the same for|now for|next|next one|do the same for|again for|try] {ax}
[and what is it for|what is it for|and in the case of|and with|what of] {ax}
"""

OPENERS = """
hey, |hi, |hello, |hey |hi |ok, |ok |okay, |so |so, |well, |um, |uh, |please |pls |please, |hey there, |
good morning, |hello! |hi there, |quick question: |question: |excuse me, |sorry, |now |now, |alright, |
hmm, |yo, |hey llmrr, |hi llmrr, |one more: |next: |and |but |listen, |quick, |dear llmrr, |
tell me, |say, |i ask: |just curious, |one question: |another one: |by the way, |actually, |
"""
CLOSERS = """
 please| please?| pls| plz| thanks| thank you|, thanks|, please|, thank you| for me| again| now| then|
 right now| exactly| really| i forgot| for my homework| in english| quickly| in one word|, do you know|
 asap|, i forgot|, i wonder|, quickly|, my friend| or not|, can you tell me|, any idea|, right| today|
"""
FILLERS = (
    "um uh just really actually please maybe perhaps exactly simply like well so again now quickly "
    "kindly then only possibly basically here there usually normally"
).split()

_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(pattern: str, rng: random.Random) -> str:
    """One wording of a pattern, its holes still open."""
    pattern = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), pattern)
    return " ".join(pattern.split()).replace(" ,", ",").replace("( ", "(").replace(" )", ")")


@cache
def lines(text: str) -> list[str]:
    """The lines of a table that hold something."""
    return [line for line in text.splitlines() if line]


def alternatives(text: str) -> list[str]:
    """The parts of a table that is split at bars, spaces kept."""
    return [part for part in text.replace("\n", "").split("|") if part]
