"""Notice to the persons concerned (PIPL 57; network data regulations 11): what, when, cause, likely harm, measures, what to do, contact."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """PIPL 57, to persons; it says nothing of anybody else."""

    profile = Profile(
        id="pipl57_persons",
        en="Notice about your personal information",
        zh="关于您个人信息安全的通知",
        to="to_person",
        intro_en="We must tell you that personal information of yours may have been looked up inside our firm without a need of the work. Below is what we know, what we have done, and what you can do.",
        intro_zh="我们在内部检查中发现，您的个人信息可能被工作人员账号在没有工作需要的情况下查询。现将有关情况、我们采取的措施和您可以采取的措施告知如下。",
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
                "Categories of personal information that may be concerned",
                "可能涉及的个人信息种类",
                source="ledger",
                of="kinds_only",
            ),
            Field("span", "PIPL 57(1)", "个人信息保护法第五十七条第一项", "When", "时间", source="ledger", of="when"),
            Field(
                "cause", "PIPL 57(1)", "个人信息保护法第五十七条第一项", "Cause", "原因", source="ledger", of="cause"
            ),
            Field(
                "likely_harm",
                "PIPL 57(1); network data regulations 11",
                "个人信息保护法第五十七条第一项、网络数据安全管理条例第十一条",
                "Likely harm",
                "可能造成的危害",
            ),
            Field(
                "measures",
                "PIPL 57(2)",
                "个人信息保护法第五十七条第二项",
                "What we have done",
                "我们已采取的补救措施",
                source="ledger",
                of="measures_short",
            ),
            Field(
                "person_measures",
                "PIPL 57(2)",
                "个人信息保护法第五十七条第二项",
                "What you can do",
                "您可以采取的减轻危害的措施",
            ),
            Field(
                "remedies",
                "PIPL 57(2)",
                "个人信息保护法第五十七条第二项",
                "What we offer",
                "我们提供的帮助",
                needed="never",
                contact=True,
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
