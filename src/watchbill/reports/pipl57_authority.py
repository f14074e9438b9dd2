"""Notice to the authority for personal information (PIPL 57): categories, cause, likely harm, measures, what persons can do, contact."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """PIPL 57, to the authority."""

    profile = Profile(
        id="pipl57_authority",
        en="Notice of a (possible) leak of personal information",
        zh="个人信息泄露（可能泄露）事件报告",
        to="authority",
        intro_en="Under article 57 of the Personal Information Protection Law we report the following (possible) leak of personal information. Numbers are counted from a tamper-evident log; where it leaves something open, both bounds are given.",
        intro_zh="根据《中华人民共和国个人信息保护法》第五十七条，现将我单位发生（或者可能发生）的个人信息泄露情况报告如下。数字由防篡改日志逐条统计；日志不能确定之处，同时列出上限和下限。",
        fields=(
            Field(
                "processor",
                "PIPL 57(3)",
                "个人信息保护法第五十七条第三项",
                "Personal information processor",
                "个人信息处理者",
                source="settings",
                of="name",
            ),
            Field(
                "categories",
                "PIPL 57(1)",
                "个人信息保护法第五十七条第一项",
                "Categories of personal information",
                "泄露的个人信息种类",
                source="ledger",
                of="categories",
            ),
            Field(
                "numbers",
                "PIPL 57(1)",
                "个人信息保护法第五十七条第一项",
                "Numbers",
                "涉及人数和数量",
                source="ledger",
                of="numbers",
            ),
            Field(
                "span", "PIPL 57(1)", "个人信息保护法第五十七条第一项", "When", "事件时间", source="ledger", of="span"
            ),
            Field(
                "cause", "PIPL 57(1)", "个人信息保护法第五十七条第一项", "Cause", "原因", source="ledger", of="cause"
            ),
            Field("likely_harm", "PIPL 57(1)", "个人信息保护法第五十七条第一项", "Likely harm", "可能造成的危害"),
            Field(
                "measures",
                "PIPL 57(2)",
                "个人信息保护法第五十七条第二项",
                "Measures taken",
                "已采取的补救措施",
                source="ledger",
                of="measures",
            ),
            Field(
                "person_measures",
                "PIPL 57(2)",
                "个人信息保护法第五十七条第二项",
                "What persons can do to reduce the harm",
                "个人可以采取的减轻危害的措施",
            ),
            Field(
                "persons_told",
                "PIPL 57, second paragraph",
                "个人信息保护法第五十七条第二款",
                "Whether the persons concerned were told",
                "通知个人的情况",
                source="ledger",
                of="told",
            ),
            Field(
                "contact",
                "PIPL 57(3)",
                "个人信息保护法第五十七条第三项",
                "Contact",
                "联系方式",
                source="settings",
                of="contact",
                contact=True,
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
