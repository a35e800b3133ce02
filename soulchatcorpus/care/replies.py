"""Does a model's reply speak of suicide or self-harm? And a stream that runs behind this check.

The corpus was cleaned of self-harm and the model had no human feedback (the paper, Ethics statement), so what it says
to a person in danger cannot be foreseen. Help lines before a reply that meant well cost nothing, and a missed push
towards the act costs much: so a reply that speaks of self-harm at all counts, whatever it says of it.

What is found of replies written after the rules, or kept from their author, stands in `docs/safety.md`: nearly all
that name the act, few of those that only hint at it in a way that nobody thought of. A message of the user that
speaks of self-harm has its help lines above the reply in any case.
"""

import re

from .crisis import find_crisis, fold
from .hints import HINTS

# In simplified characters and lower case, as `fold` gives them. Single words where ordinary replies seldom have them.
# None reaches over a "。".
_SELF_HARM = re.compile(
    # the act
    r"自[杀尽残伤虐缢刎焚]|自我(?:伤害|惩罚|了[断结]|毁灭)|轻生|短见|(?<![分阉])割(?!舍|裂|据)|(?<!德)勒(?!索)"
    r"|(?<!挣)[吊捅砍扎淹坠](?!实|根|心|入|架|没)|掐(?:住?[你您]?自己|住?脖|死|胳膊|手|大腿)"
    r"|烫(?:自己|手|胳膊|皮|腿|出|一)|溺水|刺(?:进|入|向|下|穿|破|自己|一|几|手|深)|咬(?:自己|舌|破|断|手|出|伤|一)"
    r"|绝食|不吃不喝"
    r"|(?<!心)跳(?!舞|槽|动|绳|跃|操|过|转|级|出)|跃下|跨(?:过去|出去|下去)|投[河江湖井海]"
    r"|(?<![计规策谋筹])划(?:自己|[^，。！？]{0,6}(?:[刀下道口伤]|手|臂|胳膊|腿|皮))"
    r"|(?<!会)(?:伤害|弄[伤疼痛]|毁掉?|饿死?|冻死?|烧死?|撞|打|扇|捶|砸|抓破?)(?:你|您)?自己(?!的)|卧轨|服毒|烧炭"
    r"|动手(?:吧|了吧|之?前|的时候|就|[，。！]|$)|(?<!做一个)了断|了结(?!婚)"
    # its means
    r"|(?<![中医服开停])药(?![店师房学物效按]|时)|(?:所有|全部|这些|那些|过量|吞|攒|多|大量)[^，。！？]{0,4}药物"
    r"|(?<![病中排])毒(?![舌性素蛇打]|鸡汤)|煤气|木炭|消毒|过量|(?<!调整)(?<!最低)剂量"
    r"|(?<![私忍])(?<!忍气)吞(?![噬没吐])|咽(?![炎喉])|刀(?!子嘴|两断|刃|具)|利器|玻璃碎?片"
    r"|碎玻璃|圆规|烟头|绳|(?<!如刀)绞|(?<!躺)枪(?!手)|汽油|[放着点烧]火|火(?:里|中|把|海)"
    r"|(?<![气咳骨心])血(?!压|缘|糖|型|液|汗|性|管|脉|亲)|手腕|手臂"
    r"|胳膊|小臂|大腿(?!上?，动)|腿上|(?:在|往|破|开|割|划|烫|上的?)[^，。！？]{0,3}皮肤|脖子?|喉咙?(?!糖|炎|痛)|动脉"
    r"|静脉|伤口(?![中愈渐慢疗包])|口子|疤|巴掌|耳光|(?:撞|磕|[头上]往|用头)[^，。！？]{0,2}墙|墙上?(?:撞|磕)"
    r"|(?<![顶碰冲])撞|天台|[楼房屋]顶|高楼|顶楼|楼上"
    r"|悬崖|[江河湖海水桥楼窗崖]边|桥上|阳台|窗[户外边口][^，。！？]{0,5}(?:跳|爬|翻|下去|出去|迈|坐|站)"
    r"|[从站翻爬跨][^，。！？]{0,4}窗|窗台|(?<!提)高处(?!理|不胜)|铁轨|轨道上躺|车流|火车(?!站|票|和)"
    r"|(?<!脑)[水海河江湖]里|浴缸"
    r"|车(?:底|轮|撞)|遗[书言]|[告诀]别信|保险金"
    # death
    r"|(?<![累笑气急烦渴热冷吓困忙疼猝病老拼誓作])死(?![板心记机守角撑党盯缠循胡结磕脑读])|丧命|丧生|送命|性命"
    r"|生命[^，。！？]{0,4}(?:结束|放弃|终|尽|没|停)"
    r"|(?:结束|放弃|了结|终结|舍弃|离开|不要|夺走?|付出)[^，。！？]{0,6}生命|咽气|断气|停止(?:呼吸|心跳)"
    r"|(?:呼吸|心跳)[^，。！？]{0,3}停|(?:[你您]|自己|悄悄|彻底|永远|默默|干脆|就此|应该)[^，。！？]{0,3}消失"
    r"|消失(?=[^，。！？]{0,2}(?:吧|就|算|掉|才|最|对|更|是))|(?<![成个的])人[世间](?!值得|是|最|界)|世上(?!没有人是)"
    r"|尘世|(?:离开|告别|离别|留在|活在|留恋)[^，。！？]{0,4}世界"
    r"|另一个世界|世界[^，。！？]{0,8}(?:留恋|需要你|没有你|不需要)|下辈子|来[世生](?![活病气长存意])|投胎|转世|轮回"
    r"|天[堂国]|黄泉"
    r"|地狱|上路|归宿|安息|长眠|沉睡|坟|墓|葬|棺|骨灰|(?<![中下己])解脱(?![出和束])|[不别][用会必能想要再愿]{0,2}醒"
    r"|醒不"
    r"|永远[^，。！？]{0,3}(?:[睡眠]|安静|离开|消失|休息)|睡(?:过|下)去|睡一夜|眼一闭|尽头|一了百了|一走了之"
    r"|一路走好|等着?你[^，。！？]{0,3}(?:团聚|过去)|[跟随陪][着随]?[他她][^，。！？]{0,3}(?:走|去吧|去了)"
    r"|(?:去|再)[陪找见][他她]们?吧|团聚|团圆|走了(?:就|之|算|吧)|[就离]开?走吧|[离走]开?就[离走]开?|悄悄地?[走做离]"
    r"|静静?地(?:走|离)"
    # a life that should not be
    r"|[不别没](?:想|配|该|值得|愿意?|要|用|必|如|敢|能)?(?:再|继续|勉强)?(?:自己)?活(?![动泼跃力])"
    r"|(?<!生)活(?:不|够|腻|着|下去|在世)|(?<!生)活[^，。！？动泼力跃]{0,4}(?:干嘛|干什么|为什么|图什么)"
    r"|为什么还?要?活|存活|(?:[这条贱烂丢赔]|你的?)命(?!令|运|中|名|题)|不想继续"
    r"|不(?:该|应该?|配|如不?)(?:存在|出生|来到)"
    r"|你的存在[^，。！？]{0,2}(?:只|才|没|多|错|毫|拖|是(?:个|一种)?(?:错|多|负|拖|累|麻))"
    r"|你[^，。！？]{0,4}(?:不在|没)了"
    r"|(?:早点|快点|赶紧|趁早|早就该)(?:没了|走|离开|结束)|巴不得你|牺牲(?:自己|你)(?![的，])"
    r"|(?:没有|没了|少了|缺了?)你(?![的预想说所们])"
    r"|浪费(?:粮食|空气)|累赘|拖累|负担[^，。！？]{0,4}消|废物|淘汰|你[^，。！？]{0,4}(?:垃圾|没用|废人)"
    r"|多余的?(?!的?人，我|，但|漫)|烂命|放手(?:吧|离|走|一跳|去走|让)|(?:不[用必要]|别|何必)[^，。！？]{0,3}撑着"
    r"|结束(?:自己|你|一切|这一?[切生]|吧|就|的话|掉|痛苦|它|了吧)|和[^，。！？]{0,3}一切[^，。！？]{0,4}再见"
    # the same in English
    r"|(?=[a-z])(?:"
    r"\bsuicid|\bself[- ]?(?:harm|injur|mutilat|destruct)|\bkys\b|\bunaliv|\bkill|\beuthan|\bmurder|\bfuneral"
    r"|\bgrave|\bcoffin|\bburied\b|\bcorpse|\bstop(?:s|ped|ping)? (?:breathing|eating|beating)"
    r"|\b(?:hurt|harm|cut|hang|starv|burn|drown|shoot|stab|strangl|suffocat|chok|scratch|hit|punch|injur|remov"
    r"|destroy|eras|punish)(?:t?ing|e)? (?:yourself|your (?:arm|leg|wrist|thigh|head|hand|skin|throat|neck|bod))"
    r"|\b(?:end|tak|throw|los|finish|stop|giv|leav|quit|let)(?:e|ed|ing|ping|ting|t)? (?:\w{1,9} ){0,3}(?:life|lives"
    r"|living|this world|world)\b|\bgiv(?:e|ing) up on (?:life|everything)|\bleave us\b"
    r"|\bend(?:ed|ing)? (?:it|this|things|everything|yourself|(?:the|your) (?:pain|suffering))\b"
    r"|\b(?:pain|suffering) (?:will )?(?:end|stop|leave|go|be over|be gone)|\bheart stop"
    r"|\b(?:die[ds]?|dead|deaths?|dying|deadly)\b|\boverdos|\blethal|\bfatal|\bnoose|\bropes?\b|\bbelt\b"
    r"|\bhang(?:ing|ed)?\b(?! (?:on|in|out|up|around|with))|\bgallows|\brazor|\bblades?\b|\bkni(?:fe|ves)\b"
    r"|\bscissors|\bguns?\b|\bbullets?\b|\btrigger\b|\bpistol|\brifle|\bpoison|\bbleach|\bpills?\b|\btablets?\b"
    r"|\bmedicine cabinet|\b(?:whole|entire|full|the) bottle|\ball (?:of )?(?:your|the|those) med|\bswallow|\bvodka"
    r"|\bwrists?\b|\bveins?\b|\barter|\bthroat|\bbleed|\bblood\b|\bscars?\b|\byour skin\b"
    r"|\bcut(?:s|ting)?\b(?! (?:down|back|out|off|it|him|her|ties|contact|short))|\bslit|\bslash|\bstab|\bdrown"
    r"|\bgo under\b|\bcarbon monoxide|\bcharcoal|\bgarage|\bgas\b|\bjump(?:s|ing|ed)?\b|\bleap(?:ing)?\b"
    r"|\bfall (?:from|off)\b"
    r"|\b(?:bridge|rooftop|roof|ledge|cliff|balcony|railing|railway|rails|tracks|traffic|trains?)\b|\boff the road"
    r"|\binto the (?:sea|river|lake|water|ocean|woods)|\bthe wall\b"
    r"|\bn(?:ever|ot|o need to|o longer) (?:\w{1,9} )?wak(?:e|ing)|\bn't (?:\w{1,9} )?wake|\bsleep forever|\beternal"
    r"|\b(?:goodbye|last|final|farewell) (?:note|letter|words|breath|sleep)|\bsay goodbye\b|\bover soon\b"
    r"|\bbe over\b|\bbetter off\b|\bbetter without|\bwithout you\b"
    r"|\b(?:be|are|were|weren't|you're|is|aren't) (?:gone|around)\b|\bdisappear|\bvanish|\bheaven\b|\bafterlife"
    r"|\bother side\b|\brest in peace|\bcheck(?:ing)? out\b|\bpass(?:ing)? away|\balive\b"
    r"|\b(?:worth|deserve|reason|right|point|keep|stop|go on|going on|continue|meant|fit|weak|bother|use)(?: to| in"
    r"| of| for you to)?(?: keep| go on| stay)? (?:live|living|exist|existing|be here|in this world)\b"
    r"|\bthis (?:world|earth|planet)\b|\bthe world (?:a|doesn't|would|will|needs|has)\b|\byour existence|\bexist\b"
    r"|(?:\bnot|n't|\bnever) (?:be|been|stay|have|have been|had) (?:here|born|you|around)\b|\bwaste of\b|\bworthless"
    r"|\buseless|\ba burden\b"
    r"|\b(?:nobody|no one|everyone|everybody) (?:\w{1,9} )?(?:needs|miss|misses|wants|cry|cries|care|cares|happier"
    r"|relieved|better|notice)\b)"
)

# A stream stays this many characters behind what was generated: longer than anything above or in `find_crisis`.
HOLD = 64


def find_self_harm(text: str) -> list[tuple[int, int]]:
    """Start and end of what in a reply speaks of suicide or self-harm: its acts, its means, a life not to be lived.

    It tells neither encouragement from care nor a question from an answer; an empty list is no proof that all is well.
    """
    finding = find_crisis(text)
    folded = fold(text)
    spans = [match.span() for words in (_SELF_HARM, HINTS) for match in words.finditer(folded)]
    return sorted(spans + (finding.spans if finding else []))


class HeldStream:
    """Text on its way from the model to a reader, held back until it is known whether help lines must come first.

    Finished Chinese sentences go on at once, because nothing that is looked for reaches over a "。"; of the rest
    everything but the last `HOLD` characters.
    """

    def __init__(self) -> None:
        self.text = ""
        self.speaks_of_self_harm = False
        self._shown = 0

    def feed(self, text: str) -> str:
        """Take what was newly generated; give what may now be shown.

        `speaks_of_self_harm` is set before any of it is given.
        """
        self.text += text
        if not self.speaks_of_self_harm:
            # What reaches the end of the text may yet become something else: "dead" a "deadline".
            self.speaks_of_self_harm = self._finds(len(self.text) - 1)
        if self.speaks_of_self_harm:
            return self._release(len(self.text))
        return self._release(max(self.text.rfind("。", 0, -1) + 1, len(self.text) - HOLD))

    def finish(self) -> str:
        """The rest, at the end of the reply."""
        self.speaks_of_self_harm = self.speaks_of_self_harm or self._finds(len(self.text))
        return self._release(len(self.text))

    def _finds(self, until: int) -> bool:
        """Whether anything is found that ends after what is shown and at `until` or before."""
        start = max(self.text.rfind("。", 0, self._shown) + 1, self._shown - HOLD)
        return any(self._shown < start + end <= until for _, end in find_self_harm(self.text[start:]))

    def _release(self, until: int) -> str:
        start, self._shown = self._shown, max(self._shown, until)
        return self.text[start : self._shown]
