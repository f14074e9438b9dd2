"""Report to the police with what they need to trace: accounts, devices, spans, evidence for and against, criminal-tier meter, the pack's hash."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """For the police; the one report that names accounts and devices. Customers stand in the evidence pack alone."""

    profile = Profile(
        id="police",
        en="Report of suspected infringement of citizens' personal information",
        zh="涉嫌侵犯公民个人信息案件报案材料",
        to="police",
        intro_en="We report the following look-ups as leads of a suspected crime. The records behind them are in an evidence pack that verifies offline.",
        intro_zh="我单位在处置数据安全事件中发现下列涉嫌违法犯罪线索，现予报案。有关记录见可离线核验的证据包。",
        fields=(
            Field(
                "processor",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "Reporting unit",
                "报案单位",
                source="settings",
                of="name",
            ),
            Field(
                "accounts",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "Accounts, devices and times",
                "涉事账号、设备和时间",
                source="ledger",
                of="accounts",
            ),
            Field(
                "account_holders",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "Holders of the accounts, as the roster has them (reveal needs a second person)",
                "账号登记持有人（须经两人批准后披露）",
                needed="never",
                contact=True,
            ),
            Field(
                "cause",
                "Criminal law 253-1",
                "刑法第二百五十三条之一",
                "What seems to have happened",
                "初步判断的案件事实",
                source="ledger",
                of="cause",
            ),
            Field(
                "evidence",
                "Criminal law 253-1",
                "刑法第二百五十三条之一",
                "Evidence, for and against",
                "正反两方面的依据",
                source="ledger",
                of="evidence",
            ),
            Field(
                "categories",
                "Criminal law 253-1",
                "刑法第二百五十三条之一",
                "Information concerned",
                "涉及的公民个人信息",
                source="ledger",
                of="categories",
            ),
            Field(
                "numbers",
                "Criminal law 253-1",
                "刑法第二百五十三条之一",
                "Numbers",
                "数量",
                source="ledger",
                of="numbers",
            ),
            Field(
                "meter",
                "Criminal law 253-1; Fa Shi [2017] 10, 5",
                "刑法第二百五十三条之一、法释〔2017〕10号第五条",
                "How far the numbers reach",
                "数量标准对照",
                source="ledger",
                of="meter",
            ),
            Field(
                "span",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "When",
                "时间",
                source="ledger",
                of="span",
            ),
            Field(
                "measures",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "Measures taken",
                "已采取的措施",
                source="ledger",
                of="measures",
            ),
            Field(
                "evidence_pack",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "SHA-256 of the evidence pack (`watchbill pack`)",
                "证据包文件的SHA-256（watchbill pack 输出）",
                digest=True,
            ),
            Field(
                "leak_found",
                "Anti-telecom-fraud law 29",
                "反电信网络诈骗法第二十九条",
                "Where the data turned up, if it did",
                "发现信息外流的渠道（如有）",
                needed="never",
            ),
            Field(
                "contact",
                "Anti-telecom-fraud law 29; network data regulations 11",
                "反电信网络诈骗法第二十九条、网络数据安全管理条例第十一条",
                "Contact for the police",
                "报案联系人",
                source="settings",
                of="contact",
                contact=True,
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
